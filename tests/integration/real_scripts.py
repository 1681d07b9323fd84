"""The files of the repositories of ``real_shapes``: definitions of DVC and scripts, as their authors wrote them."""

from __future__ import annotations

TEXT_PIPELINE = """
vars:
  - languages: [de, en]
stages:
  train:
    foreach: ${languages}
    do:
      cmd: python src/train.py ${item}
      deps: [src/train.py, "reviews/${item}.tsv"]
      params: [train]
      outs: ["models/${item}.json"]
  evaluate:
    foreach: ${languages}
    do:
      cmd: python src/evaluate.py ${item}
      desc: figures of one language
      deps: [src/evaluate.py, "models/${item}.json", "reviews/${item}.tsv"]
      outs: ["eval/${item}.csv"]
      metrics:
        - metrics/${item}.json:
            cache: false
      plots:
        - plots/${item}-confusion.csv:
            cache: false
            template: confusion
            x: predicted
            y: actual
"""
TEXT_PARAMS = """
# ours since 2023
train:
  seed: 7
  words: 60 # the most telling ones
  test_share: 0.4
"""
TEXT_TRAIN = """
import json, math, os, random, sys

import yaml

settings = yaml.safe_load(open("params.yaml"))["train"]
language = sys.argv[1]
rows = [line.rstrip("\\n").split("\\t") for line in open(f"reviews/{language}.tsv")]
random.Random(settings["seed"]).shuffle(rows)
held = int(len(rows) * settings["test_share"])
counts = [{}, {}]
for _, label, text in rows[held:]:
    for word in text.split():
        counts[int(label)][word] = counts[int(label)].get(word, 0) + 1
vocabulary = sorted({*counts[0], *counts[1]})
weights = {}
totals = [sum(side.values()) + len(vocabulary) for side in counts]
for word in vocabulary:
    one, zero = ((counts[side].get(word, 0) + 1) / totals[side] for side in (1, 0))
    weights[word] = round(math.log(one / zero), 9)
weights = dict(sorted(weights.items(), key=lambda each: (-abs(each[1]), each[0]))[: settings["words"]])
os.makedirs("models", exist_ok=True)
share = sum(row[1] == "1" for row in rows[held:]) / (len(rows) - held)
model = {"test": [row[0] for row in rows[:held]], "bias": round(math.log(share / (1 - share)), 9), "weights": weights}
json.dump(model, open(f"models/{language}.json", "w"), indent=1)
"""
TEXT_EVALUATE = """
import csv, json, math, os, sys

language = sys.argv[1]
model = json.load(open(f"models/{language}.json"))
held, rows = set(model["test"]), []
for line in open(f"reviews/{language}.tsv"):
    number, label, text = line.rstrip("\\n").split("\\t")
    if number in held:
        score = model["bias"] + sum(model["weights"].get(word, 0) for word in text.split())
        rows.append((number, int(label), round(1 / (1 + math.exp(-score)), 9)))
for folder in ("eval", "metrics", "plots"):
    os.makedirs(folder, exist_ok=True)
for path, head, lines in (
    (f"eval/{language}.csv", ("id", "label", "probability"), rows),
    (f"plots/{language}-confusion.csv", ("actual", "predicted"), [(y, int(p > 0.5)) for _, y, p in rows]),
):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *lines])
hit = sum(y == 1 and p > 0.5 for _, y, p in rows)
f1 = 2 * hit / max(1, sum(y for _, y, _ in rows) + sum(p > 0.5 for _, _, p in rows))
accuracy = sum(y == (p > 0.5) for _, y, p in rows) / len(rows)
loss = -sum(math.log(max(1e-12, p if y else 1 - p)) for _, y, p in rows) / len(rows)
figures = {"test": {"f1": f1, "accuracy": accuracy, "log_loss": loss, "rows": len(rows)}}
json.dump(figures, open(f"metrics/{language}.json", "w"), indent=1)
"""

IMAGE_PIPELINE = """
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, data/raw]
    params: [prepare]
    outs: [data/prepared]
  train:
    cmd: python train.py
    deps: [train.py, data/prepared/train]
    params: [train.examples]
    outs: [model]
    plots:
      - history:
          cache: false
          x: step
          y: spread
  evaluate:
    cmd:
      - python evaluate.py
      - ls eval/wrong | wc -l
    deps: [evaluate.py, model, data/prepared/test]
    outs: [eval/predictions.csv, eval/wrong]
    metrics:
      - eval/metrics.json:
          cache: false
plots:
  - predicted against actual:
      template: confusion
      x: {eval/predictions.csv: predicted}
      y: {eval/predictions.csv: actual}
artifacts:
  shapes:
    path: model
    type: model
    desc: which of three shapes is in a picture
"""
IMAGE_PARAMS = """
prepare: {invert: false, test_every: 3}
train: {examples: 4, optimizer: none}
data: images   # not a section of anybody else
"""
IMAGE_PREPARE = """
import pathlib, shutil

import numpy as np
import yaml

settings = yaml.safe_load(open("params.yaml"))["prepare"]
out = pathlib.Path("data/prepared")
shutil.rmtree(out, ignore_errors=True)
for number, file in enumerate(sorted(pathlib.Path("data/raw").rglob("*.pgm"))):
    pixels = np.frombuffer(file.read_bytes().split(b"\\n", 1)[1], np.uint8).astype(np.float32) / 255
    side = "test" if number % settings["test_every"] == 0 else "train"
    target = out / side / file.parent.name / f"{file.stem}.npy"
    target.parent.mkdir(parents=True, exist_ok=True)
    np.save(target, 1 - pixels if settings["invert"] else pixels)
"""
IMAGE_TRAIN = """
import json, pathlib

import numpy as np
import yaml

examples = yaml.safe_load(open("params.yaml"))["train"]["examples"]
for folder in ("model", "history"):
    pathlib.Path(folder).mkdir(exist_ok=True)
kinds = sorted(each.name for each in pathlib.Path("data/prepared/train").iterdir())
means, lines = [], ["step,spread"]
for kind in kinds:
    files = sorted(pathlib.Path("data/prepared/train", kind).glob("*.npy"))[:examples]
    pictures = np.stack([np.load(file) for file in files])
    means.append(pictures.mean(axis=0))
    lines.append(f"{len(lines)},{pictures.std():.6f}")
np.save("model/means.npy", np.stack(means))
json.dump({"kinds": kinds, "examples": examples}, open("model/about.json", "w"))
pathlib.Path("history/spread.csv").write_text("\\n".join(lines) + "\\n")
"""
IMAGE_EVALUATE = """
import csv, json, pathlib, shutil

import numpy as np

means, kinds = np.load("model/means.npy"), json.load(open("model/about.json"))["kinds"]
wrong = pathlib.Path("eval/wrong")
shutil.rmtree(wrong, ignore_errors=True)
wrong.mkdir(parents=True)
(wrong / "none.txt").write_text("pictures that were taken for another kind\\n")
rows = []
for file in sorted(pathlib.Path("data/prepared/test").rglob("*.npy")):
    distance = ((means - np.load(file)) ** 2).sum(axis=1)
    weight = np.exp(-distance)
    predicted = kinds[int(distance.argmin())]
    scores = [f"{each:.6f}" for each in weight / weight.sum()]
    rows.append([f"{file.parent.name}/{file.stem}", file.parent.name, predicted, *scores])
    if predicted != file.parent.name:
        shutil.copyfile(file, wrong / f"{file.parent.name}-{file.name}")
with open("eval/predictions.csv", "w", newline="") as target:
    csv.writer(target).writerows([["id", "actual", "predicted", *(f"p_{kind}" for kind in kinds)], *rows])
hits = sum(row[1] == row[2] for row in rows)
json.dump({"accuracy": hits / len(rows), "pictures": len(rows)}, open("eval/metrics.json", "w"))
"""

PRICES_PIPELINE = """
stages:
  fit:
    cmd: python fit.py
    deps: [fit.py, data/homes.csv, ../../libs/numbers/rounding.py]
    params: [degree, split]
    outs: [model.json, predictions.csv]
    metrics: [metrics.json: {cache: false}]
"""
PRICES_PARAMS = """
degree: 1
split: {test: 100}
deploy: {region: eu-west-1}
"""
PRICES_FIT = """
import csv, json, sys

import numpy as np
import yaml

sys.path.insert(0, "../../libs/numbers")
from rounding import rounded

settings = yaml.safe_load(open("params.yaml"))
rows = list(csv.DictReader(open("data/homes.csv")))
size, price = (np.array([float(row[name]) for row in rows]) for name in ("size", "price"))
held = settings["split"]["test"]
line = np.polyfit(size[held:] / 100, price[held:], settings["degree"])
predicted = np.polyval(line, size[:held] / 100)
with open("predictions.csv", "w", newline="") as file:
    lines = zip((row["id"] for row in rows), price[:held], map(rounded, predicted))
    csv.writer(file).writerows([("id", "price", "predicted"), *lines])
json.dump([rounded(each) for each in line], open("model.json", "w"))
rmse = rounded(np.sqrt(((predicted - price[:held]) ** 2).mean()))
json.dump({"rmse": rmse, "mae": rounded(np.abs(predicted - price[:held]).mean())}, open("metrics.json", "w"))
"""

CHURN_DATA = """
stages:
  split:
    cmd: python split.py customers.csv
    deps: [split.py, customers.csv]
    outs: [train.csv, holdout.csv]
"""
CHURN_SPLIT = """
import sys

head, *lines = open(sys.argv[1]).read().splitlines()
for name, part in (("train", lines[300:]), ("holdout", lines[:300])):
    open(f"{name}.csv", "w").write("\\n".join([head, *part]) + "\\n")
"""
CHURN_MODEL = """
vars:
  - folder: data
stages:
  train:
    wdir: ..
    cmd: python model/train.py ${folder}/train.csv model/weights.json
    deps: [model/train.py, data/train.csv]
    params:
      - model/params.yaml: [train]
    outs: [model/weights.json]
"""
CHURN_TRAIN = """
import csv, json, sys

import numpy as np
import yaml

settings = yaml.safe_load(open("model/params.yaml"))["train"]
rows = list(csv.DictReader(open(sys.argv[1])))
x = np.array([[float(row[name]) for name in settings["columns"]] for row in rows])
y = np.array([int(row["left"]) for row in rows])
weights = np.zeros(x.shape[1])
for _ in range(settings["steps"]):
    p = 1 / (1 + np.exp(-(x @ weights)))
    weights -= x.T @ (p - y) / len(y)
json.dump({name: round(float(w), 9) for name, w in zip(settings["columns"], weights)}, open(sys.argv[2], "w"))
"""
CHURN_EVALUATION = """
stages:
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py, ../model/weights.json, ../data/holdout.csv]
    params: [limits.json: [threshold]]
    outs: [predictions.csv, metrics.json: {cache: false}]
metrics: [metrics.json]
"""
CHURN_EVALUATE = """
import csv, json

import numpy as np

weights = json.load(open("../model/weights.json"))
rows = list(csv.DictReader(open("../data/holdout.csv")))
score = sum(w * np.array([float(row[name]) for row in rows]) for name, w in weights.items())
p, y = 1 / (1 + np.exp(-score)), np.array([int(row["left"]) for row in rows])
limit = json.load(open("limits.json"))["threshold"]
auc = (p[y == 1][:, None] > p[y == 0][None, :]).mean()
with open("predictions.csv", "w", newline="") as file:
    csv.writer(file).writerows([("id", "left", "p"), *((r["id"], r["left"], f"{v:.9f}") for r, v in zip(rows, p))])
figures = {"holdout": {"auc": round(float(auc), 6), "accuracy": round(float(((p > limit) == y).mean()), 6)}}
json.dump(figures, open("metrics.json", "w"), indent=2)
"""

DEMAND_PIPELINE = """
stages:
  forecast:
    cmd: python forecast.py
    deps: [demand.csv, forecast.py]
    params:
      - config.toml: [model.lag, split]
    outs: [results/forecast.csv]
    metrics: [results/metrics.toml: {cache: false}]
"""
DEMAND_CONFIG = """
title = "demand"

[model]
lag = 6  # days

[split]
test = 140
"""
DEMAND_FORECAST = """
import csv, os, tomllib

config = tomllib.load(open("config.toml", "rb"))
demand = [float(row["demand"]) for row in csv.DictReader(open("demand.csv"))]
lag, held = config["model"]["lag"], config["split"]["test"]
os.makedirs("results", exist_ok=True)
lines, parts = ["day,demand,forecast"], {}
for name, days in (("train", range(lag, len(demand) - held)), ("test", range(len(demand) - held, len(demand)))):
    errors = [abs(demand[day] - demand[day - lag]) for day in days]
    parts[name] = f"[{name}]\\nmae = {sum(errors) / len(errors):.6f}\\nworst = {max(errors):.6f}\\n"
    lines += [f"{day},{demand[day]:.3f},{demand[day - lag]:.3f}" for day in days if name == "test"]
open("results/metrics.toml", "w").write("\\n".join(parts.values()))
open("results/forecast.csv", "w").write("\\n".join(lines) + "\\n")
"""

FIGURES_PIPELINE = """
stages:
  simulate:
    cmd: python simulate.py
    deps: [simulate.py]
    params: [settings.json: [strategy]]
    outs: [scores.json: {cache: false}]
metrics: [scores.json]
"""
FIGURES_SIMULATE = """
import json, random

patience = json.load(open("settings.json"))["strategy"]["patience"]
draw = random.Random(0)
games = [max(draw.random() for _ in range(patience)) for _ in range(500)]
mean = sum(games) / len(games)
figures = {"reward": {"mean": round(mean, 6), "worst": round(min(games), 6)}, "games": len(games)}
json.dump(figures, open("scores.json", "w"))
"""
