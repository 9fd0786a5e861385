"""Draw a quantized network as the graph that its .tflite file would hold, without weights: shapes are all it has."""

from __future__ import annotations

from collections.abc import Sequence

from converters.check.graph import Graph, Operator, Tensor

# A constant needs a byte to count as one; its size is told by its shape.
_HELD = memoryview(b"\0")


class Drawing:
    """A graph that grows op by op; what a method returns is the tensor that its op fills, [1, H, W, C]."""

    def __init__(self, side: int) -> None:
        self._operators: list[Operator] = []
        self._tensors = 0
        self.image = self._tensor((1, side, side, 3))

    def graph(self) -> Graph:
        """Return what was drawn."""
        return Graph(tuple(self._operators), (self.image,), self._operators[-1].outputs)

    def conv(
        self, x: Tensor, channels: int, kernel: int | tuple[int, int], stride: int = 1, valid: bool = False
    ) -> Tensor:
        """Add a convolution with its activation."""
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        sides = _sides(x, (high, wide), stride, valid)
        weight = self._tensor((channels, high, wide, x.shape[-1]), _HELD)
        return self._add("CONV_2D", (x, weight), (1, *sides, channels), {"dilation_w": 1, "dilation_h": 1})

    def depthwise(self, x: Tensor, kernel: int, stride: int = 1) -> Tensor:
        """Add a depthwise convolution with its activation."""
        channels, sides = x.shape[-1], _sides(x, (kernel, kernel), stride, False)
        weight = self._tensor((1, kernel, kernel, channels), _HELD)
        return self._add("DEPTHWISE_CONV_2D", (x, weight), (1, *sides, channels), {"dilation_w": 1, "dilation_h": 1})

    def pool(self, x: Tensor, window: int, stride: int = 1, valid: bool = False) -> Tensor:
        """Add a pooling op; whether of maxima or means makes no difference here."""
        sides = _sides(x, (window, window), stride, valid)
        return self._add("MAX_POOL_2D", (x,), (1, *sides, x.shape[-1]), {"window_w": window, "window_h": window})

    def mean(self, x: Tensor) -> Tensor:
        """Add a mean over the whole image."""
        high, wide, channels = x.shape[1:]
        return self._add("AVERAGE_POOL_2D", (x,), (1, 1, 1, channels), {"window_w": wide, "window_h": high})

    def dense(self, x: Tensor, outputs: int) -> Tensor:
        """Add a dense op over all that comes in."""
        weight = self._tensor((outputs, x.values), _HELD)
        return self._add("FULLY_CONNECTED", (x, weight), (1, outputs), {"weights_format": 0})

    def add(self, left: Tensor, right: Tensor) -> Tensor:
        """Add a sum of two tensors."""
        return self._add("ADD", (left, right), left.shape, {})

    def rectify(self, x: Tensor) -> Tensor:
        """Add an activation that no convolution can take in: it follows a batch norm that stands alone."""
        return self._add("MUL", (x, self._tensor((x.shape[-1],), _HELD)), x.shape, {})

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Add a concatenation along the channels."""
        channels = sum(part.shape[-1] for part in parts)
        return self._add("CONCATENATION", tuple(parts), (*parts[0].shape[:-1], channels), {})

    def resize(self, x: Tensor, like: Tensor) -> Tensor:
        """Add a repetition of the nearest values up to the height and width of another tensor."""
        shape = (*like.shape[:3], x.shape[-1])
        return self._add("RESIZE_NEAREST_NEIGHBOR", (x,), shape, {})

    def softmax(self, x: Tensor) -> Tensor:
        """Add a softmax."""
        return self._add("SOFTMAX", (x,), x.shape, {})

    def _tensor(self, shape: tuple[int, ...], data: memoryview = memoryview(b"")) -> Tensor:  # noqa: B008  # no array
        self._tensors += 1
        return Tensor(self._tensors, f"tensor {self._tensors}", "uint8", shape, scales=1, data=data)

    def _add(
        self, name: str, inputs: tuple[Tensor, ...], shape: tuple[int, ...], options: dict[str, int | float]
    ) -> Tensor:
        output = self._tensor(shape)
        self._operators.append(Operator(len(self._operators), name, 1, inputs, (output,), options))
        return output


def _sides(x: Tensor, kernel: tuple[int, int], stride: int, valid: bool) -> tuple[int, int]:
    """Return height and width of what a window gives: padded to the input's size, or only where it fits."""
    high, wide = ((size - side * valid + (1 if valid else 0)) for size, side in zip(x.shape[1:3], kernel, strict=True))
    return -(-high // stride), -(-wide // stride)
