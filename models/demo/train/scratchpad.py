"""The written arithmetic the model is taught: fixed-width columns from the units up, every carry and borrow shown.

A small transformer computes one column at a time reliably, and nothing longer. Every number a column needs stands
right before it, so that each step only copies and looks up.
"""


def digits(number, width):
    """The decimal digits of a number from the units up, padded with zeros to `width`."""
    return [int(d) for d in reversed(f"{number:0{width}d}")]


def add(a, b, width=3):
    """347+586:7+6+0=13,4+8+1=13,3+5+1=09>0933=933 (digit + digit + carry = two digits)."""
    carry, columns = 0, []
    for x, y in zip(digits(a, width), digits(b, width)):
        total = x + y + carry
        columns.append(f"{x}+{y}+{carry}={total:02d}")
        carry = total // 10
    return f"{a:0{width}d}+{b:0{width}d}:{','.join(columns)}>{a + b:0{width + 1}d}={a + b}"


def first_difference(a, b, width):
    """5=5,3>2: digits from the left up to the first that differ."""
    steps = []
    for x, y in zip(f"{a:0{width}d}", f"{b:0{width}d}"):
        steps.append(f"{x}{'=' if x == y else '<' if x < y else '>'}{y}")
        if x != y:
            break
    return ",".join(steps)


def subtract(a, b):
    """Two lines: which is larger and so the sign, then the smaller taken from the larger.

    533-286:5>2:+
    533-286:13-6-0=7,13-8-1=4,05-2-1=2>247=+247 (digit, with a ten where one is borrowed, - digit - borrow)
    """
    sign = "-" if a < b else "+"
    large, small = max(a, b), min(a, b)
    borrow, columns = 0, []
    for x, y in zip(digits(large, 3), digits(small, 3)):
        borrows = x - y - borrow < 0
        columns.append(f"{int(borrows)}{x}-{y}-{borrow}={x + 10 * borrows - y - borrow}")
        borrow = int(borrows)
    difference = large - small
    shown = f"-{difference}" if a < b else f"{difference}"
    return (f"{a:03d}-{b:03d}:{first_difference(a, b, 3)}:{sign}\n"
            f"{large:03d}-{small:03d}:{','.join(columns)}>{difference:03d}={shown}")


def times_digit(a, digit):
    """6:7*6+0=42,4*6+4=28,3*6+2=20>2082 (digit * digit + carry = two digits)."""
    carry, columns = 0, []
    for x in digits(a, 3):
        total = x * digit + carry
        columns.append(f"{x}*{digit}+{carry}={total:02d}")
        carry = total // 10
    return f"{digit}:{','.join(columns)}>{a * digit:04d}"


def multiply(a, b):
    """One line for each digit of the shorter factor, then their sum.

    347*86
    6:7*6+0=42,4*6+4=28,3*6+2=20>2082
    8:7*8+0=56,4*8+5=37,3*8+3=27>2776
    02082+27760:2+0+0=02,8+6+0=14,0+7+1=08,2+7+0=09,0+2+0=02>029842=29842
    """
    long, short = (b, a) if len(str(b)) > len(str(a)) else (a, b)
    lines = [f"{long:03d}*{short}"]
    lines += [times_digit(long, int(d)) for d in reversed(str(short))]
    if short < 10:
        return "\n".join(lines) + f"={long * short}"
    lines.append(add(long * (short % 10), long * (short // 10) * 10, 5))
    return "\n".join(lines)


def compare(a, b, direction):
    """453:3,487:3:3=3,4=4,5<8:453<487=487 (digit counts first, then digits; the number asked for last)."""
    counts = len(str(a)), len(str(b))
    steps = first_difference(counts[0], counts[1], 1)
    if counts[0] == counts[1]:
        steps += "," + first_difference(a, b, counts[0])
    sign = "=" if a == b else "<" if a < b else ">"
    wanted = max(a, b) if direction == "larger" else min(a, b)
    return f"{a}:{counts[0]},{b}:{counts[1]}:{steps}:{a}{sign}{b}={wanted}"
