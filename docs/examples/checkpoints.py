"""Train convolutional networks on scikit-learn's digits, and save them as anyone would: a state dict a file, and a CSV.

Every network has batch normalisation, max pooling and a flattened map. They differ in how long and how fast they learn.
Usage: python checkpoints.py FOLDER [NETWORKS]
"""

import csv
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.set_num_threads(1)  # faster for networks as small as these
folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 120
digits = load_digits()
order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
pictures = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16
labels = torch.tensor(digits.target)[order]

folder.mkdir()
with (folder / "labels.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["file", "accuracy", "steps", "learning_rate"])
    for number in range(count):
        torch.manual_seed(number)
        net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(),
            nn.Linear(6 * 4 * 4, 10),
        )  # fmt: skip
        steps, rate = int(torch.randint(5, 150, ())), 10 ** float(torch.empty(()).uniform_(-3.5, -1.5))
        optimizer = torch.optim.Adam(net.parameters(), lr=rate)
        for _ in range(steps):
            batch = torch.randint(0, 1200, (32,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(pictures[batch]), labels[batch]).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            accuracy = (net(pictures[1200:]).argmax(1) == labels[1200:]).float().mean().item()
        torch.save(net.state_dict(), folder / f"{number:03d}.pt")
        table.writerow([f"{number:03d}.pt", f"{accuracy:.4f}", steps, f"{rate:.2e}"])
