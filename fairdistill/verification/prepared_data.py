"""Whether the prepared data sets of a study are complete, and those that its models were trained on."""

from collections.abc import Sequence
from pathlib import Path

from fairdistill.data.reading import load_dataset, view_digest
from fairdistill.evaluation.records import read_record
from fairdistill.runtime.errors import UserError


def differences_of_data(metrics: Sequence[Path], results: Path) -> list[str]:
    """Say which prepared data sets are missing, damaged, or not those that the models were trained on.

    Parameters
    ----------
    metrics
        The metrics files of the models.
    results
        The folder of the study.
    """
    # by folder and fold of a data set, the digests that models recorded of it, each with one of these models
    trained_on: dict[tuple[Path, int], dict[tuple[str, str | None], Path]] = {}
    for path in metrics:
        record = read_record(path)
        place = record.data_of(results), record.run.fold
        inputs = record.inputs
        trained_on.setdefault(place, {})[inputs.dataset, inputs.normalisation_and_crop] = path
    wrong = []
    for (folder, fold), models in trained_on.items():
        if not folder.is_dir():
            wrong.append(f"{folder} is missing")
            continue
        try:
            dataset = load_dataset(folder, fold)
        except (UserError, OSError) as error:
            wrong.append(str(error))
            continue
        found = dataset.info["sha256"], view_digest(dataset)
        for (content, view), path in models.items():
            # records of earlier versions have no digest of normalisation and crop
            if (content, view or found[1]) != found:
                wrong.append(f"{path}: {folder} is another data set than the one trained on")
    # several folds may have the same fault
    return list(dict.fromkeys(wrong))
