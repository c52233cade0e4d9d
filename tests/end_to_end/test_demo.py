"""The first five minutes: one command, cells counted, compared with the truth."""

import dipstream as ds


def test_the_demo_counts_the_simulated_cells(cli) -> None:
    answer = cli.fresh("demo", "--frames", 20, "--headless")
    assert answer.code == 0, answer.stderr
    assert "received 20 = analysed 20 + dropped 0" in answer.stdout
    assert "✓" in answer.stdout
    assert "count error" in answer.stdout
    (line,) = [line for line in answer.stdout.splitlines() if line.startswith("run ")]
    folder = line.removeprefix("run").strip()
    assert len(ds.open_run(folder).objects()) > 0


def test_the_demo_in_json(cli) -> None:
    answer = cli("demo", "--frames", 20, "--json")
    assert answer.code == 0, answer.stderr
    summary = answer.json
    assert len(answer.stdout.splitlines()) == 1
    assert summary["received"] == summary["analysed"] == 20
    assert summary["image_sets"] == 10
    assert summary["gap"] == 0
    assert summary["balanced"]
    assert summary["count_error_percent"] < 5
