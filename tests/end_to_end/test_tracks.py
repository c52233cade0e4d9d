"""30 frames of dividing cells, linked, against their ground truth."""

from itertools import pairwise
from pathlib import Path

import tifffile

import dipstream as ds
from dipstream.truth import read_ctc_truth, score_links


def test_links_of_the_nuclei_preset_are_right(data: Path, cli) -> None:
    mitocheck = data / "tracks" / "mitocheck"
    answer = cli("run", mitocheck / "01", "--pipeline", "nuclei", "--json", "--save-labels")
    assert answer.code == 0, answer.stderr
    assert (answer.json["received"], answer.json["analysed"]) == (30, 30)

    run = ds.open_run(answer.json["folder"])
    objects = run.objects().sort_values(["track_id", "t"])
    links = []
    for _, track in objects.groupby("track_id"):
        seen = list(zip(track["t"].tolist(), track["label"].tolist(), strict=True))
        links += list(pairwise(seen))
    sets = run.image_sets()
    labels = {
        t: tifffile.imread(run.folder / "labels" / f"{set_id}_nuclei.tif")
        for t, set_id in zip(sets["t"], sets["set_id"], strict=True)
    }
    truth = read_ctc_truth(mitocheck / "01_GT")
    score = score_links(truth.frames, labels, links, truth.ignore)
    assert score.n_truth_links == 570
    assert score.recall >= 0.95
    assert score.precision >= 0.95

    tracks = run.tracks()
    assert tracks["n_objects"].sum() == len(objects)
    assert (tracks["first_t"] <= tracks["last_t"]).all()
