"""One preset, unchanged, on the fluorescence fields with ground truth."""

import csv
from pathlib import Path

import numpy as np
from skimage.io import imread

import dipstream as ds
from dipstream.truth import average_precision, f1_score


def test_the_nuclei_preset_finds_the_nuclei(data: Path) -> None:
    with (data / "MANIFEST.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if "modality=fluo" in row["note"]]
    assert len(rows) == 12
    f1, precision = [], []
    for row in rows:
        truth = imread(data / row["ground_truth"]).astype(np.int32)
        labels, table = ds.analyze(imread(data / row["file"]), "nuclei")
        assert len(table) == labels.max()
        f1.append(f1_score(truth, labels, 0.5))
        precision.append(average_precision(truth, labels))
    assert np.mean(f1) >= 0.85
    assert np.mean(precision) >= 0.50
