/* SPDX-License-Identifier: GPL-2.0-only */
/* What user space asks of /dev/vapic-pathbench. */
#ifndef PATHBENCH_H
#define PATHBENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct pathbench_request {
	__s32 vcpu_fd;
	__u32 path;   /* enum pathbench_path */
	__u32 vector; /* of the two DELIVER, of WINDOW, the three WAKE, and KNOWN */
	__u32 samples;
	__u64 ticks;	/* address of that many __u64 for the result */
	__u64 costs;	/* and of as many for each kind of testbed/cost.h */
	__u32 sleepers; /* of the three WAKE: vCPUs 1 to this must sleep on this CPU */
	__u32 target;	/* and this one is woken; 0, of PATHBENCH_WAKE: none; also of BROADCAST */
	__s32 event_fd; /* of the two SIGNAL: stands for a device's interrupt to the vCPU */
};

enum pathbench_path {
	PATHBENCH_NOTHING,  /* what measuring itself costs */
	PATHBENCH_LOAD_PUT, /* begin and end of an ioctl on a vCPU */
	PATHBENCH_SWITCH,   /* the vCPU's thread is switched out and back in */
	PATHBENCH_BLOCK,    /* a halted vCPU is about to sleep, and woke up */
	PATHBENCH_DELIVER,  /* an interrupt for the vCPU, whatever it does */
	PATHBENCH_DELIVER_AGAIN, /* the same when its thread has been woken before */
	PATHBENCH_SIGNAL,	 /* VFIO's handler gives KVM a device's interrupt */
	PATHBENCH_SIGNAL_AGAIN,	 /* the same when the vCPU's thread has been woken before */
	/* The state of the vCPU's APIC: */
	PATHBENCH_HAS_INTERRUPT, /* is an interrupt pending, before a sleep? */
	PATHBENCH_INJECTABLE,	 /* is one for KVM to inject, before an entry? */
	PATHBENCH_SYNC_TO_VAPIC, /* tell the guest in its memory; nothing is to be told */
	PATHBENCH_SAVE,		 /* KVM_GET_LAPIC, without what is copied for it */
	PATHBENCH_RESTORE,	 /* KVM_SET_LAPIC, likewise, of the same state */
	PATHBENCH_TOGGLE,	 /* acceleration goes off and on */
	/* On AMD only: an interrupt that KVM injects into a guest of a VM that is inhibited */
	PATHBENCH_WINDOW, /* waits for its window; the exit for that; its injection */
	/* The exit of vCPU 0's IPI to all others, of which @target sleeps; -EAGAIN: it does not */
	PATHBENCH_BROADCAST,
	PATHBENCH_KNOWN, /* of which is known what it holds; vector is an enum pathbench_known */
	/* On Intel only, with IPI virtualization; -EOPNOTSUPP elsewhere. */
	PATHBENCH_SLEEP,	  /* the thread is switched out to sleep and back in */
	PATHBENCH_SYNC,		  /* before an entry: look at what was posted */
	PATHBENCH_EOI_BITMAP,	  /* load the EOI-exit bitmap that is there */
	PATHBENCH_NEW_EOI_BITMAP, /* another one */
	PATHBENCH_WAKE, /* the wakeup vector; vcpu_fd is vCPU 0; -EAGAIN: not all asleep */
	PATHBENCH_WAKE_AGAIN,  /* the same when the target's thread has been woken before */
	PATHBENCH_WAKE_THREAD, /* of that only what the handler calls to wake the thread */
	PATHBENCH_PATHS,
};

/*
 * KNOWN_TIMES of one thing. The first holds none, the last as many calls that return as they
 * should.
 */
enum pathbench_known {
	KNOWN_NOTHING,
	KNOWN_LOCK,
	KNOWN_XCHG,
	KNOWN_VMREAD,
	KNOWN_VMWRITE,
	KNOWN_RDMSR,
	KNOWN_WRMSR,
	KNOWN_RETURN_MISS,
	KNOWN_RETURN,
	KNOWNS,
};

#define KNOWN_TIMES 100

/* All but the two DELIVER and the two SIGNAL wait until the vCPU is in no other ioctl. */
#define PATHBENCH_MEASURE _IOW('~', 0x5a, struct pathbench_request)

#endif
