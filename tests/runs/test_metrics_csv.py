from pathlib import Path

from genmodels.runs.metrics_csv import read_metrics
from genmodels.training.csv_logger import CSVMetrics


def test_rows_long_and_wide(tmp_path: Path) -> None:
    """Figures of one step that were logged apart share a row."""
    log = CSVMetrics(tmp_path)
    log.log_metrics({"train/nll": 2.0, "epoch": 0}, step=10)
    log.log_metrics({"train/nll": 1.0, "epoch": 0}, step=20)
    log.log_metrics({"val/nll": 1.5, "epoch": 0}, step=20)
    assert read_metrics(tmp_path)[2] == {"step": 20, "epoch": 0, "name": "val/nll", "value": 1.5}
    assert read_metrics(tmp_path, wide=True) == [
        {"step": 10, "epoch": 0, "train/nll": 2.0, "val/nll": None},
        {"step": 20, "epoch": 0, "train/nll": 1.0, "val/nll": 1.5},
    ]
    assert read_metrics(tmp_path / "none", wide=True) == []
