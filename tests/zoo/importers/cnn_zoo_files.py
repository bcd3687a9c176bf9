"""Write data sets in the layout of the Small CNN Zoo, and read them slowly, one number after another.

Both follow the description of the format alone and share nothing with the importer.
"""

import csv
import gzip
import random
import struct

import numpy as np

STEPS = (0, 1, 2, 3, 20, 40, 60, 80, 86)
LAYOUT = """varname,start_idx,end_idx,shape
sequential/conv2d/bias:0,0,16,"(16,)"
sequential/conv2d/kernel:0,16,160,"(3, 3, 1, 16)"
sequential/conv2d_1/bias:0,160,176,"(16,)"
sequential/conv2d_1/kernel:0,176,2480,"(3, 3, 16, 16)"
sequential/conv2d_2/bias:0,2480,2496,"(16,)"
sequential/conv2d_2/kernel:0,2496,4800,"(3, 3, 16, 16)"
sequential/dense/bias:0,4800,4810,"(10,)"
sequential/dense/kernel:0,4810,4970,"(16, 10)"
"""
HEADING = [
    "config.activation",
    "config.b_init",
    "config.dataset",
    "config.dnn_architecture",
    "config.dropout",
    "config.epochs",
    "config.init_std",
    "config.l2reg",
    "config.learning_rate",
    "config.num_layers",
    "config.num_units",
    "config.optimizer",
    "config.random_seed",
    "config.train_fraction",
    "config.w_init",
    "modeldir",
    "step",
    "test_accuracy",
    "test_loss",
    "train_accuracy",
    "train_loss",
]


def tensorflow_order(features):
    """Return networks ``(networks, 4970)``: bias before kernel, kernels (height, width, in, out), float32."""
    pieces = []
    for weight, bias in zip(features.weights, features.biases, strict=True):
        array = weight[:, 0].numpy()
        pieces += [bias[:, 0].numpy(), array.transpose((0, 3, 4, 2, 1) if array.ndim == 5 else (0, 2, 1))]
    return np.concatenate([piece.reshape(len(piece), -1) for piece in pieces], axis=1)


def metrics_row(activation, step, accuracy, **changed):
    """Return the cells of a row of ``metrics.csv.gz`` by column."""
    row = {
        "config.activation": activation,
        "config.b_init": "zeros",
        "config.dataset": "digits",
        "config.dnn_architecture": "cnn",
        "config.dropout": repr(accuracy / 3),
        "config.epochs": "18",
        "config.init_std": "0.01",
        "config.l2reg": "1e-06",
        "config.learning_rate": repr(0.001 + accuracy / 100),
        "config.num_layers": "3",
        "config.num_units": "16",
        "config.optimizer": ["adam", "sgd", "rmsprop"][int(accuracy * 1000) % 3],
        "config.random_seed": "7",
        "config.train_fraction": "0.25",
        "config.w_init": "glorot_normal",
        "modeldir": f"/a/b/../{step}",
        "step": str(step),
        "test_accuracy": repr(accuracy),
        "test_loss": repr(2 - accuracy),
        "train_accuracy": repr(accuracy),
        "train_loss": "nan" if step == 3 else repr(2 - accuracy),
    }
    return row | changed


def write_metrics(folder, rows, heading=HEADING):
    """Write ``metrics.csv.gz``; ``rows`` are dicts by column."""
    with gzip.open(folder / "metrics.csv.gz", "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        writer.writerows([[row[name] for name in heading] for row in rows])


def write_data_set(folder, array, rows, *, layout=LAYOUT, order=None):
    """Write the three files and, for an order of the rows, a split file with its stray ``0``."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "weights.npy", array)
    write_metrics(folder, rows)
    (folder / "layout.csv").write_text(layout)
    if order is not None:
        (folder / "digits_split.csv").write_text("".join(f"{n}\n" for n in [0, *order]))
    return folder


def slow_split(folder, protocol, step, activation, stray_row):
    """Return (row, split) of each network in order, and the rows of ``metrics.csv.gz``."""
    with gzip.open(folder / "metrics.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    order = list(range(len(rows)))
    file = folder / "digits_split.csv"
    if file.exists():
        order = [int(line) for line in file.read_text().split()]
        if stray_row == "drop":
            del order[0]
    left = [row for row in order if int(rows[row]["step"]) == step]
    if protocol == "monomial" and activation:
        left = [row for row in left if rows[row]["config.activation"] == activation]
    middle = len(left) // 2
    indices = list(range(middle))
    random.Random(0).shuffle(indices)
    train = set(indices[: int(middle * 0.8)])
    chosen = []
    for place, row in enumerate(left):
        split = "test" if place >= middle else "train" if place in train else "val"
        if protocol != "scalegmn" or not activation or rows[row]["config.activation"] == activation:
            chosen.append((row, split))
    return chosen, rows


def slow_network(folder, row):
    """Return the tensors W(1), b(1), W(2), ... of a row as nested lists, read with struct."""
    content = (folder / "weights.npy").read_bytes()
    begin = 10 + struct.unpack("<H", content[8:10])[0]
    numbers = struct.unpack("<4970f", content[begin + row * 19880 : begin + (row + 1) * 19880])

    def convolution(start, inputs):
        def entry(o, i, y, x):
            return numbers[start + ((y * 3 + x) * inputs + i) * 16 + o]

        return [[[[entry(o, i, y, x) for x in range(3)] for y in range(3)] for i in range(inputs)] for o in range(16)]

    dense = [[numbers[4810 + i * 10 + o] for i in range(16)] for o in range(10)]
    return [
        convolution(16, 1),
        list(numbers[0:16]),
        convolution(176, 16),
        list(numbers[160:176]),
        convolution(2496, 16),
        list(numbers[2480:2496]),
        dense,
        list(numbers[4800:4810]),
    ]


def content_of(folder):
    """Return the bytes of every file in a folder by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
