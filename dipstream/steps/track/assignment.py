"""Which object belongs to which track: a linear assignment among near pairs only."""

import numpy as np
import numpy.typing as npt

__all__ = ["NO_LINK_COST", "assign_near"]

Points = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

NO_LINK_COST = 2.1
"""Cost of leaving a track and an object unlinked, in units of the gate squared: 1.05 for each."""


def assign_near(tracks_px: Points, objects_px: Points, gate_px: float) -> tuple[Indices, Indices]:
    """Return the indices of linked tracks and of their objects, in the order of tracks.

    The links minimise Σ distance² + 2.1 · gate² · (tracks without an object) over all
    one-to-one links not longer than the gate.

    This is the matrix of Jaqaman et al., Nat. Methods 5 (2008) 695, where a track ends and an
    object appears at 1.05 times the largest cost each (here that of the gate, so that links do
    not depend on far-away objects), folded: n tracks + m objects on either side become n rows by
    m + n columns, as ending one track more is also one appearance more. As 2.1 > 1, objects
    within the gate are linked whenever both are free.

    Parameters
    ----------
    tracks_px, objects_px
        Positions (n, 2) and (m, 2), in px.
    gate_px
        Largest distance of a link, in px.
    """
    # Of this reference, the tracker on kernels needs only a number.
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching  # noqa: PLC0415
    from scipy.spatial import cKDTree  # noqa: PLC0415

    n, m = len(tracks_px), len(objects_px)
    if n == 0 or m == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    near = cKDTree(tracks_px).sparse_distance_matrix(
        cKDTree(objects_px), gate_px, output_type="ndarray"
    )
    # Only tracks with a near object take part; the others are unlinked whatever happens.
    rows, row_of = np.unique(near["i"], return_inverse=True)
    k = len(rows)
    if k == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    costs = np.concatenate([(near["v"] / gate_px) ** 2, np.full(k, NO_LINK_COST)])
    # 32-bit indices: scipy's matching takes no others before 1.13.
    i = np.concatenate([row_of, np.arange(k)]).astype(np.int32)
    j = np.concatenate([near["j"], m + np.arange(k)]).astype(np.int32)
    # Sparse matrices drop zeros, so every cost is raised by 1; each row pays it exactly once.
    graph = coo_array((costs + 1.0, (i, j)), shape=(k, m + k)).tocsr()
    matched, to = min_weight_full_bipartite_matching(graph)
    linked = to < m
    return rows[matched[linked]].astype(np.int64), to[linked].astype(np.int64)
