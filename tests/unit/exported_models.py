"""Models that are trained for an epoch on a tiny data set, and exported."""

import json
import sys

import pytest
from method_trainings import network_settings

from fairdistill.networks import load_method, load_network, save_network
from fairdistill.runtime.files import read_json, sha256
from fairdistill.training import job
from scripts import export_model, train_model

FILES = {"weights": "weights.safetensors", "predictions": "predictions.parquet", "training": "training.json"}


def train(data, output, method):
    """Train a ResNet-18 by a method, a mapping, and write its model to a folder."""
    training = {"epochs": 1, "batch_size": 32, "device": "cpu", "precision": "fp32"}
    options = {"data": data, "output": output, "method": json.dumps(method), "training": json.dumps(training)}
    options |= {"network": json.dumps({"kind": "resnet18"})}
    job.run_training(train_model.read_job([f"--{name}={value}" for name, value in options.items()]))
    return output


def export(data, model, output):
    """Export the model in a folder as the script does; return the folder that it is written to."""
    options = {"data": data, "output": output, "calibration-images": 30, "code": "0123"}
    options |= {name: model / file for name, file in FILES.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["export_model", *(f"--{name}={value}" for name, value in options.items())])
        export_model.main()
    return output


def forget_facts(model):
    """Make the checkpoint in a folder one of before checkpoints said what images they take."""
    weights, record = model / FILES["weights"], model / FILES["training"]
    network, state = load_network(weights), load_method(weights)
    save_network(weights, network, network_settings("resnet18", stem="imagenet"), method=state)
    training = read_json(record)
    training["outputs"][weights.name] = sha256(weights)
    record.write_text(json.dumps(training))
