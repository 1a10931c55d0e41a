"""Put a study into one ZIP file for a data repository, with all that others need to check it and to redraw it.

It holds the configuration, the code, the list of packages, the metrics, tables and figures, the page, and the checksums
of each model's weights, predictions and data set, but neither weights nor data sets.
"""

import argparse
from pathlib import Path

import yaml

from fairdistill.reporting.archive import code_files, list_models, readme, write_archive
from fairdistill.reporting.grids import model_paths, read_grids
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.progress import log
from fairdistill.runtime.provenance import tracked_state, untracked_code
from fairdistill.settings.arguments import OutputFile, add_model_options, parse_options, require_unwritten
from fairdistill.settings.reading import read_json_option


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="models.csv keeps this order")
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--config", required=True, metavar="JSON", help="the configuration")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the study")
    parser.add_argument(
        "--files",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="tables, figures and pages within the folder",
    )
    parser.add_argument("--archive", type=OutputFile, required=True, help="archive to write (ZIP)")
    args = parse_options(parser)

    metrics = model_paths(args.metrics, read_grids(args.grids))
    files = [*args.files, *map(Path, metrics)]
    # what has the probabilities of a metrics file, where it has any
    files += [path for path in (Path(name).with_suffix(".parquet") for name in metrics) if path.is_file()]
    require_unwritten(args, "metrics", *files)
    for path in files:
        if not path.is_relative_to(args.folder):
            raise UserError(f"{path}: is not in {args.folder}; name files of the study alone")
    contents: dict[str, Path | str] = {path.relative_to(args.folder).as_posix(): path for path in files}
    config = read_json_option(dict, args.config, option="--config")
    contents["config.yaml"] = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    contents["models.csv"] = list_models(metrics)
    code, untracked = code_files(), untracked_code()
    if not code:
        log("the code is no git checkout, and is left out: the archive names its version alone")
    if untracked:
        log(f"code that git does not track is left out, and named in the archive's README: {', '.join(untracked)}")
    contents["README.md"] = readme(
        args.study, contents, state=tracked_state(), has_code=bool(code), untracked=untracked
    )
    write_archive(args.archive, args.study, contents | code)


if __name__ == "__main__":
    run_script(main)
