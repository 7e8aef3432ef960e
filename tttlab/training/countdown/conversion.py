"""The network as a GGUF file, which llama.cpp runs: weights under its names, words as a SentencePiece vocabulary."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from tttlab.countdown.vocabulary import WORDS
from tttlab.training.countdown.network import Network

NAME = "countdown"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] != 'system' %}"
    " {{ message['content'] }}{% endif %}{% endfor %}"
)
_SPACE = "\u2581"
_UNSPACED = ("<pad>", "<s>", "</s>")


def convert(network: Network, file: Path, *, context: int) -> None:
    """Write the file. Raises `OSError`."""
    writer = gguf.GGUFWriter(file, "llama")
    _describe(writer, network, context)
    _say_words(writer)
    weights = {name: weight.detach().float() for name, weight in network.state_dict().items()}
    for name, weight in _tensors(weights, network.shape.layers):
        writer.add_tensor(name, weight.numpy().astype(np.float32 if weight.dim() == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, network: Network, context: int) -> None:
    shape = network.shape
    writer.add_name(NAME)
    writer.add_license("Apache-2.0")
    writer.add_context_length(context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(len(pieces()))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def pieces() -> list[str]:
    """The vocabulary's pieces: each word with the space before it, and then the beginnings of words.

    SentencePiece puts a word together letter by letter, so each of its beginnings must be a piece as well.
    """
    words = [word if word in _UNSPACED else _SPACE + word for word in WORDS]
    beginnings = {word[:end]: None for word in words if word not in _UNSPACED for end in range(1, len(word))}
    letters = {letter: None for word in words if word not in _UNSPACED for letter in word}
    return [*words, *(piece for piece in {**letters, **beginnings} if piece not in words)]


def _say_words(writer: gguf.GGUFWriter) -> None:
    said = pieces()
    kinds = [gguf.TokenType.CONTROL if piece in _UNSPACED else gguf.TokenType.NORMAL for piece in said]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece.encode() for piece in said])
    writer.add_token_scores([float(len(piece)) for piece in said])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(WORDS.index("<s>"))
    writer.add_eos_token_id(WORDS.index("</s>"))
    writer.add_pad_token_id(WORDS.index("<pad>"))
    writer.add_unk_token_id(WORDS.index("<pad>"))
    writer.add_add_bos_token(value=True)
    writer.add_add_space_prefix(value=False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _tensors(weights: dict[str, Tensor], layers: int) -> list[tuple[str, Tensor]]:
    found = [
        ("token_embd.weight", _with_beginnings(weights["token_embd.weight"])),
        ("output_norm.weight", weights["output_norm.weight"]),
        ("output.weight", _with_beginnings(weights["output.weight"])),
    ]
    for layer in range(layers):
        before = f"blk.{layer}."
        for name, part in zip(
            ("attn_q", "attn_k", "attn_v"), weights[f"{before}attn_qkv.weight"].chunk(3), strict=True
        ):
            found.append((f"{before}{name}.weight", part))
        for name, part in zip(("ffn_gate", "ffn_up"), weights[f"{before}ffn_gate_up.weight"].chunk(2), strict=True):
            found.append((f"{before}{name}.weight", part))
        found += [
            (f"{before}{name}.weight", weights[f"{before}{name}.weight"])
            for name in ("attn_norm", "attn_output", "ffn_norm", "ffn_down")
        ]
    return found


def _with_beginnings(rows: Tensor) -> Tensor:
    # As unlikely as padding, which no text has: training pushed it down.
    missing = len(pieces()) - len(rows)
    return torch.cat([rows, rows[WORDS.index("<pad>")].expand(missing, -1)])
