// SPDX-License-Identifier: GPL-2.0-only
//
// Mistakes on paths through one function that neither compiler nor sparse follows: locks held at a
// return or taken twice, sleeping under a spinlock, memory used unchecked or after it was freed.
// tools/check.d/coccinelle runs this; tests/build/static_test.py plants one mistake of each.

@initialize:python@
@@
def said(at, what):
	print("%s:%s: %s" % (at[0].file, at[0].line, what))

@held exists@
expression lock;
position at;
@@
(
 mutex_lock
|
 spin_lock
|
 raw_spin_lock
|
 raw_spin_lock_irq
|
 raw_spin_lock_irqsave
|
 raw_spin_lock_nested
|
 srcu_read_lock
)
 (lock, ...)
... when != mutex_unlock(lock)
    when != spin_unlock(lock)
    when != raw_spin_unlock(lock)
    when != raw_spin_unlock_irq(lock)
    when != raw_spin_unlock_irqrestore(lock, ...)
    when != srcu_read_unlock(lock, ...)
return@at ...;

@script:python@
at << held.at;
@@
said(at, "returns with a lock held")

@twice exists@
expression lock;
position at;
@@
(
 mutex_lock(lock);
 ... when != mutex_unlock(lock)
 mutex_lock@at(lock);
|
 spin_lock(lock);
 ... when != spin_unlock(lock)
 spin_lock@at(lock);
|
 raw_spin_lock(lock);
 ... when != raw_spin_unlock(lock)
 raw_spin_lock@at(lock);
)

@script:python@
at << twice.at;
@@
said(at, "takes a lock that it holds")

@sleeps exists@
expression lock;
position at;
@@
(
 spin_lock
|
 raw_spin_lock
|
 raw_spin_lock_irq
|
 raw_spin_lock_irqsave
)
 (lock, ...)
... when != spin_unlock(lock)
    when != raw_spin_unlock(lock)
    when != raw_spin_unlock_irq(lock)
    when != raw_spin_unlock_irqrestore(lock, ...)
(
 mutex_lock@at(...)
|
 kzalloc@at(..., GFP_KERNEL_ACCOUNT)
|
 kzalloc@at(..., GFP_KERNEL)
|
 synchronize_rcu@at(...)
|
 synchronize_srcu@at(...)
)

@script:python@
at << sleeps.at;
@@
said(at, "may sleep with a spinlock held")

@unchecked exists@
expression memory, other;
identifier member;
position at;
statement S1, S2;
@@
 memory = \(kzalloc\|kmem_cache_zalloc\|alloc_pages_exact\)(...)
... when != if (<+... memory ...+>) S1 else S2
    when != memory = other
 memory->member@at

@script:python@
at << unchecked.at;
@@
said(at, "uses memory without a look whether there is any")

@freed exists@
expression memory, other;
identifier member;
position at;
@@
(
 kfree(memory);
|
 kmem_cache_free(..., memory);
)
... when != memory = other
    when != &memory
 memory->member@at

@script:python@
at << freed.at;
@@
said(at, "uses memory that it has freed")
