# SPDX-License-Identifier: GPL-2.0-only
#
# Finds what a kernel log complains about: warnings, crashes, stalls, and
# reports of lockdep and the sanitizers.

import re

COMPLAINT = re.compile(r"""
    (?<!RETBleed:\s)\bWARNING:\s(?!See\shttps)  # not those on CPU bugs
  | \bBUG:
  | \bkernel\sBUG\sat
  | \bOops\b
  | \bgeneral\sprotection\sfault,    # the kernel's; a process has no comma
  | \bKernel\spanic\b
  | \bCall\sTrace:
  | \bKASAN:|\bKCSAN:|\bUBSAN:|\bKMSAN:|\bKFENCE:
  | \bpossible\scircular\slocking
  | \bpossible\srecursive\slocking
  | \binconsistent\slock\sstate
  | \bsuspicious\sRCU\susage
  | \bsleeping\sfunction\scalled\sfrom\sinvalid\scontext
  | \bscheduling\swhile\satomic
  | \bunchecked\sMSR\saccess\serror
  | \bdetected\sstalls?\b|\bself-detected\sstall\b
  | \bsoft\slockup\b|\bhard\sLOCKUP\b|\bblocked\sfor\smore\sthan
  | \bunreferenced\sobject\b|\bmemory\sleak
  | \bstack-protector:
  | \brefcount_t:
""", re.VERBOSE)


# A warning of stock AVIC that says nothing of what is tested: one vCPU's interrupt window ends, and
# with it the inhibit of the whole VM, just when another vCPU asks for a window of its own. Newer
# kernels count the windows. While vapic is loaded, stock's function does not run.
KNOWN = re.compile(r"""
    ^[^\n]*-\[\ cut\ here\ \]-+\n
    (?: (?![^\n]*(?:\[vapic\]|-\[\ end\ trace)) [^\n]*\n )*?
    [^\n]*\bWARNING:\s[^\n]*\ssvm_enable_irq_window\+[^\n]*\n
    (?: (?![^\n]*(?:\[vapic\]|-\[\ cut\ here|-\[\ end\ trace)) [^\n]*\n )*
    [^\n]*-\[\ end\ trace[^\n]*\n?
""", re.VERBOSE | re.MULTILINE)

# What the kernel says if a test makes it lack the memory for a cache of vapic's objects: it shows
# its stack, too. vapic is then not loaded, and says so itself.
NO_MEMORY = re.compile(r"""
    ^[^\n]*kmem_cache_create\w*\(vapic_\w+\)\ failed\ with\ error\ -12\n
    (?: (?![^\n]*(?:WARNING:|BUG:|-\[\ cut\ here|</TASK>)) [^\n]*\n )*
    [^\n]*</TASK>\n?
""", re.VERBOSE | re.MULTILINE)

# A CPU that no longer gets anywhere, while others still do.
STALL = re.compile(rb"detected stalls? on CPU|soft lockup")
TIME = re.compile(r"^\[[ \d.]+\](\[[ \w]+\])? ")
# Registers, code, and what only lay on the stack.
DETAIL = re.compile(r"""
    (?:R[A-Z]X|R\d\d|[C-G]S|CR\d|R[BS]P|PKRU|Code|Hardware\sname|Tainted|Modules\slinked\sin):
  | \s\?\s | \s</?[A-Z]+>$
""", re.VERBOSE)


def known(text: str) -> int:
    """How many warnings there are that do not count."""
    return len(KNOWN.findall(text))


def without_known(text: str) -> str:
    return NO_MEMORY.sub("", KNOWN.sub("", text))


def complaints(text: str) -> list[str]:
    """Lines that no healthy kernel prints."""
    return [line for line in without_known(text).splitlines() if COMPLAINT.search(line)]


def first(text: str, count: int) -> list[str]:
    """The first complaint, and of what follows as many lines as there is room for; when that
    was, and the registers, are left out."""
    lines = without_known(text).splitlines()
    begin = next((i for i, line in enumerate(lines) if COMPLAINT.search(line)), len(lines))
    told = (TIME.sub("", line) for line in lines[begin:])
    return [line for line in told if not DETAIL.match(line)][:count]


def after_boot(text: str) -> str:
    """The log from where the kernel starts its first program, if it got there."""
    _, mark, rest = text.rpartition("     TERM=linux\n")
    return rest if mark else text


def about(text: str, *words: str) -> list[str]:
    """Lines that mention one of the words, for an error message."""
    return [line for line in text.splitlines()
            if any(word in line for word in words)]
