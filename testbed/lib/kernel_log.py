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


def complaints(text):
    """Lines that no healthy kernel prints."""
    return [line for line in text.splitlines() if COMPLAINT.search(line)]


def after_boot(text):
    """The log from where the kernel starts its first program, if it got there."""
    _, mark, rest = text.rpartition("     TERM=linux\n")
    return rest if mark else text


def about(text, *words):
    """Lines that mention one of the words, for an error message."""
    return [line for line in text.splitlines()
            if any(word in line for word in words)]
