"""LZW as Go's compress/lzw has it: least significant bit first, 8-bit literals.

See docs/wire.md#packets.

Codes 0 to 255 are literals, 256 clears the table, 257 ends, and from 258 on each code stands for
an earlier string and one byte more. Codes are 9 bits wide and grow to 12: by one bit after the
data code with which the counter (257 at first, one more per data code) reaches a power of two.
When it reaches 4095 the encoder clears the table.

Both directions take time in proportion to what comes in and what goes out; `decompress` never
holds more than the given limit, one string (4 kB) and one table of strings (7 MB, which only a
bomb can fill).
"""

from __future__ import annotations

from typing import Final

from quorate.wire.go.msgpack import bad_frame

_CLEAR: Final = 256
_END: Final = 257
_FIRST_WIDTH: Final = 9
_LAST_WIDTH: Final = 12
_FULL: Final = 4095

_FLUSH_BITS: Final = 4096  # a larger buffer makes shifts dear, a smaller one conversions


def compress(data: bytes) -> bytes:
    """The compressed form, byte for byte as Go writes it."""
    out = bytearray()
    buffer, filled = _CLEAR, _FIRST_WIDTH
    if data:
        width, counter, grows_at = _FIRST_WIDTH, _END, 1 << _FIRST_WIDTH
        table: dict[int, int] = {}
        find = table.get
        saved = data[0]
        for byte in memoryview(data)[1:]:
            key = saved << 8 | byte
            known = find(key)
            if known is not None:
                saved = known
                continue
            buffer |= saved << filled
            filled += width
            counter += 1
            if counter == _FULL:
                buffer |= _CLEAR << filled
                filled += width
                width, counter, grows_at = _FIRST_WIDTH, _END, 1 << _FIRST_WIDTH
                table.clear()
            else:
                if counter == grows_at:
                    width += 1
                    grows_at <<= 1
                table[key] = counter
            saved = byte
            if filled >= _FLUSH_BITS:
                whole = filled >> 3
                out += (buffer & ((1 << (whole << 3)) - 1)).to_bytes(whole, "little")
                buffer >>= whole << 3
                filled &= 7
        buffer |= saved << filled
        filled += width
        counter += 1
        if counter == _FULL:
            buffer |= _CLEAR << filled
            filled += width
            width = _FIRST_WIDTH
        elif counter == grows_at:
            width += 1
    else:
        width = _FIRST_WIDTH
    buffer |= _END << filled
    filled += width
    return bytes(out) + buffer.to_bytes(filled + 7 >> 3, "little")


# One loop without calls: a call for each code would double its time.
def decompress(data: bytes, limit: int) -> bytes:  # noqa: C901, PLR0912 - see above
    """The reverse of `compress`; what follows the end code is not looked at.

    Raises BadFrame for codes that no encoder writes, for data without an end code, and when the
    result would be longer than `limit` bytes.
    """
    table = list(_LITERALS)
    add = table.append
    out = bytearray()
    width, mask, counter, grows_at = _FIRST_WIDTH, (1 << _FIRST_WIDTH) - 1, _END, 1 << _FIRST_WIDTH
    last: bytes | None = None
    buffer = filled = position = 0
    end = len(data)
    while True:
        if filled < width:
            if position >= end:
                raise bad_frame("compressed data without its end")
            piece = data[position : position + 64]
            position += 64
            buffer |= int.from_bytes(piece, "little") << filled
            filled += len(piece) << 3
            continue
        code = buffer & mask
        buffer >>= width
        filled -= width
        if code == _CLEAR:
            del table[_END + 1 :]
            width, mask, counter, grows_at = _FIRST_WIDTH, 511, _END, 512
            last = None
            continue
        if code == _END:
            return bytes(out)
        if code < len(table):
            string = table[code]
            if last is not None:
                add(last + string[:1])
        elif code == len(table) and last is not None:
            string = last + last[:1]
            add(string)
        else:
            raise bad_frame(f"compressed data with an impossible code {code}")
        out += string
        if len(out) > limit:
            raise bad_frame(f"compressed data of more than {limit} bytes")
        last = string
        counter += 1
        if counter == grows_at:
            if width == _LAST_WIDTH:
                # Full: such an encoder goes on with the table as it is.
                last, counter = None, counter - 1
            else:
                width += 1
                mask = mask << 1 | 1
                grows_at <<= 1


_LITERALS: Final = [*(bytes((n,)) for n in range(256)), b"", b""]
"""The table after a clear code; the places of 256 and 257 hold nothing."""
