"""The recipe of `local:countdown`: data, training, conversion, evaluation. `python -m tttlab.training.countdown`."""
