"""The stages of the analysis, each beside its reference: one module a kernel."""
