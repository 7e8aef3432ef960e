"""The network: a transformer as Llama has it (Touvron et al., 2023), small, in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large the network is. The defaults are those of the model in the package."""

    words: int
    width: int = 128
    layers: int = 4
    heads: int = 4
    inner: int = 352
    context: int = 1024
    rope_base: float = 10_000.0
    epsilon: float = 1e-5


class Norm(nn.Module):
    """Root mean square normalisation."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self._epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Each vector over its own root mean square."""
        return functional.rms_norm(x, self.weight.shape, self.weight, self._epsilon)


class Block(nn.Module):
    """Attention and a gated feed-forward layer, each added to what comes in."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, inner = shape.width, shape.inner
        self._heads = shape.heads
        self.attn_norm, self.ffn_norm = Norm(width, shape.epsilon), Norm(width, shape.epsilon)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.ffn_down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        """`x` is batch x time x width; `turns` the cosines and sines of each place."""
        batch, time, width = x.shape
        parts = self.attn_qkv(self.attn_norm(x)).view(batch, time, 3, self._heads, width // self._heads)
        query, key, value = parts.transpose(1, 3).unbind(2)
        seen = functional.scaled_dot_product_attention(turned(query, turns), turned(key, turns), value, is_causal=True)
        x = x + self.attn_output(seen.transpose(1, 2).reshape(batch, time, width))
        gate, up = self.ffn_gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
        return x + self.ffn_down(functional.silu(gate) * up)


class Network(nn.Module):
    """Words in, the logits of each next word out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.words, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape.width, shape.epsilon)
        self.output = nn.Linear(shape.width, shape.words, bias=False)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
        half = shape.width // shape.heads // 2
        speeds = shape.rope_base ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(shape.context).float(), speeds)
        self.register_buffer("_cosines", angles.cos(), persistent=False)
        self.register_buffer("_sines", angles.sin(), persistent=False)

    def forward(self, words: Tensor) -> Tensor:
        """Logits, batch x time x words, of word ids, batch x time."""
        x = self.token_embd(words)
        turns = self._cosines[: words.shape[1]], self._sines[: words.shape[1]]
        for block in self.blk:
            x = block(x, turns)
        return self.output(self.output_norm(x))


def turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary places (Su et al., 2021), each pair of neighbours turned together, as llama.cpp does for this kind."""
    cosines, sines = turns
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cosines - odd * sines, even * sines + odd * cosines), dim=-1).flatten(-2)
