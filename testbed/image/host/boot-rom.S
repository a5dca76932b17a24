/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts the emulated host's kernel from memory, where the emulator has put kernel, command
 * line and initramfs before it began. An expansion ROM in the place of the video BIOS: the
 * BIOS calls it as soon as ACPI tables and memory map are made, before it looks for disks.
 *
 * Enters the kernel as its ELF note PHYS32_ENTRY asks: 32-bit protected mode, no paging, EBX
 * at the hvm_start_info. That lies ready at START_INFO (lib/intel.py) but for the memory map,
 * which only the BIOS knows; the entry point follows it.
 */
	.set	START_INFO, 0x8000000
	.set	MEMMAP_ENTRIES, 48		/* in the hvm_start_info */
	.set	ENTRY, 56			/* after it */
	.set	MEMMAP, 0x8000			/* free memory below 64 KiB */
	.set	MEMMAP_ENTRY_SIZE, 24
	.set	ROM, 0xc0000
	.set	SMAP, 0x534d4150

	.code16
	.text
rom:	.byte	0x55, 0xaa, 1			/* signature, length in sectors */
	xorl	%ebx, %ebx
	movw	%bx, %ds
	movw	%bx, %es
	movw	$MEMMAP, %di
next:	movl	$0xe820, %eax
	movl	$SMAP, %edx
	movl	$20, %ecx
	int	$0x15
	jc	mapped
	movl	$0, 20(%di)			/* its last word is reserved */
	addw	$MEMMAP_ENTRY_SIZE, %di
	testl	%ebx, %ebx
	jnz	next
mapped:	cli
	movzwl	%di, %eax
	subl	$MEMMAP, %eax
	xorl	%edx, %edx
	movl	$MEMMAP_ENTRY_SIZE, %ecx
	divl	%ecx
	movl	%eax, %ebp
	inb	$0x92, %al			/* A20 */
	orb	$2, %al
	outb	%al, $0x92
	lgdtl	%cs:(gdtr - rom)
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$8, $(ROM + protected - rom)

	.code32
protected:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$START_INFO, %ebx
	movl	%ebp, MEMMAP_ENTRIES(%ebx)
	jmp	*ENTRY(%ebx)

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff		/* flat code */
	.quad	0x00cf93000000ffff		/* flat data */
gdtr:	.word	. - gdt - 1
	.long	ROM + gdt - rom
	.org	511
	.byte	0				/* the build makes all bytes sum up to 0 */
