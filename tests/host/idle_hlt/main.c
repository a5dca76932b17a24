// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the idle-HLT intercept of the emulated AMD processor, which no stock KVM of 6.12 uses: runs
 * guests of two instructions, STI and HLT, on the processor itself. Loads if all is as the AMD64
 * manual, volume 2, "Instruction Intercepts" says; KVM must not be loaded.
 */
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/special_insns.h>
#include <asm/svm.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>

#if __has_include(<asm/cpuid/api.h>)
#include <asm/cpuid/api.h>
#endif

#define CPUID_IDLE_HLT BIT(30)
#define IDLE_HLT_WORD 5
#define IDLE_HLT_BIT BIT(6)
#define EXIT_IDLE_HLT 0xa6

#define ATTRIBUTES_CODE 0x0a9b
#define ATTRIBUTES_DATA 0x0c93

static struct vmcb *vmcb;
static void *host_save, *permissions, *stack;

/* guest.S */
extern char guest_sti[], guest_hlt[], guest_end[];

static struct vmcb_seg segment(u16 selector, u16 attributes)
{
	return (struct vmcb_seg){.selector = selector, .attrib = attributes, .limit = ~0U};
}

static void intercept(unsigned int bit)
{
	vmcb->control.intercepts[bit / 32] |= BIT(bit % 32);
}

/* By halves: what takes all 64 bits has different names in different kernels. */
static u64 read_msr(u32 msr)
{
	u32 low, high;

	rdmsr(msr, low, high);
	return (u64)high << 32 | low;
}

static void write_msr(u32 msr, u64 value)
{
	wrmsr(msr, value, value >> 32);
}

static void prepare(const char *begin)
{
	struct vmcb_save_area *save = &vmcb->save;
	struct desc_ptr gdt, idt;

	memset(vmcb, 0, sizeof(*vmcb));
	intercept(INTERCEPT_INTR);
	intercept(INTERCEPT_NMI);
	intercept(INTERCEPT_VINTR);
	intercept(INTERCEPT_SHUTDOWN);
	intercept(INTERCEPT_VMRUN);
	intercept(INTERCEPT_VMMCALL);
	vmcb->control.intercepts[IDLE_HLT_WORD] |= IDLE_HLT_BIT;
	vmcb->control.iopm_base_pa = virt_to_phys(permissions);
	vmcb->control.msrpm_base_pa = virt_to_phys(permissions);
	vmcb->control.asid = 1;
	vmcb->control.int_ctl = V_INTR_MASKING_MASK;

	native_store_gdt(&gdt);
	store_idt(&idt);
	save->gdtr = (struct vmcb_seg){.base = gdt.address, .limit = gdt.size};
	save->idtr = (struct vmcb_seg){.base = idt.address, .limit = idt.size};
	save->cs = segment(__KERNEL_CS, ATTRIBUTES_CODE);
	save->ss = save->ds = save->es = segment(__KERNEL_DS, ATTRIBUTES_DATA);
	save->cr0 = read_cr0();
	save->cr3 = __read_cr3();
	save->cr4 = __read_cr4();
	save->efer = read_msr(MSR_EFER);
	save->dr6 = 0xffff0ff0;
	save->dr7 = 0x400;
	save->rflags = X86_EFLAGS_FIXED;
	save->rip = (u64)begin;
	save->rsp = (u64)stack + PAGE_SIZE - 8;
}

static void set_pending(void)
{
	vmcb->control.int_ctl |= V_IRQ_MASK | V_IGN_TPR_MASK;
	vmcb->control.int_vector = 0xf0;
}

/* Physical interrupts make the guest exit, and come once GIF is set again. */
static void run(void)
{
	asm volatile("clgi\n"
		     "sti\n"
		     "push %%rbp\n"
		     "vmrun %%rax\n"
		     "pop %%rbp\n"
		     "cli\n"
		     "stgi\n"
		     :
		     : "a"(virt_to_phys(vmcb))
		     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		       "r14", "r15", "memory", "cc");
}

static bool exits(const char *name, u32 code, const char *at)
{
	bool right;

	/* A physical interrupt between VMRUN and HLT. */
	do {
		run();
		local_irq_enable();
		local_irq_disable();
	} while (vmcb->control.exit_code == SVM_EXIT_INTR && vmcb->save.rip != (u64)guest_end);
	right = vmcb->control.exit_code == code && vmcb->save.rip == (u64)at;
	pr_info("idle_hlt: %sok %s: exit %x at %+ld\n", right ? "" : "not ", name,
		(u32)vmcb->control.exit_code, (long)(vmcb->save.rip - (u64)guest_hlt));
	return right;
}

static bool test_all(void)
{
	bool right = true;

	prepare(guest_hlt);
	right &= exits("nothing is pending", EXIT_IDLE_HLT, guest_hlt);

	prepare(guest_sti);
	right &= exits("nothing is pending, interrupts are on", EXIT_IDLE_HLT, guest_hlt);

	/* HLT does not exit, so the next interrupt of the host ends the guest's sleep. */
	prepare(guest_hlt);
	set_pending();
	right &= exits("a virtual interrupt is pending, interrupts are off", SVM_EXIT_INTR,
		       guest_end);

	/* HLT is in the shadow of STI. */
	prepare(guest_sti);
	set_pending();
	right &= exits("a virtual interrupt is pending, interrupts are on", SVM_EXIT_VINTR,
		       guest_end);

	prepare(guest_hlt);
	set_pending();
	intercept(INTERCEPT_HLT);
	right &= exits("HLT is intercepted as well", SVM_EXIT_HLT, guest_hlt);
	return right;
}

static int __init idle_hlt_init(void)
{
	int err = -ENOMEM;
	u64 efer;

	if (!(cpuid_edx(0x8000000a) & CPUID_IDLE_HLT))
		return -ENODEV;
	vmcb = (void *)get_zeroed_page(GFP_KERNEL);
	host_save = (void *)get_zeroed_page(GFP_KERNEL);
	stack = (void *)get_zeroed_page(GFP_KERNEL);
	/* 12 KiB for I/O, 8 KiB for MSRs; neither is intercepted. */
	permissions = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, 2);
	if (vmcb && host_save && stack && permissions) {
		local_irq_disable();
		efer = read_msr(MSR_EFER);
		write_msr(MSR_EFER, efer | EFER_SVME);
		write_msr(MSR_VM_HSAVE_PA, virt_to_phys(host_save));
		err = test_all() ? 0 : -EIO;
		write_msr(MSR_VM_HSAVE_PA, 0);
		write_msr(MSR_EFER, efer);
		local_irq_enable();
	}
	free_page((unsigned long)vmcb);
	free_page((unsigned long)host_save);
	free_page((unsigned long)stack);
	free_pages((unsigned long)permissions, 2);
	return err;
}

static void __exit idle_hlt_exit(void) {}

module_init(idle_hlt_init);
module_exit(idle_hlt_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test of the idle-HLT intercept");
