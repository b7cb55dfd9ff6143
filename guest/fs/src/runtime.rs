//! What the standard library would bring: memory, and what a panic does. The only unsafe code
//! of the crate is here.

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

/// Traps. The host reports the trap, retires the instance and goes on with a fresh one.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// The allocator of the target's C library. The host allocates with it, too, when it hands
/// over a list: that library has the function that the canonical ABI asks for.
struct CLibrary;

#[global_allocator]
static ALLOCATOR: CLibrary = CLibrary;

#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(align: usize, size: usize) -> *mut u8;
    fn free(allocated: *mut u8);
    fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8;
}

// SAFETY: `aligned_alloc` takes any power of two and answers null where memory is used up;
// `free` takes what came from it.
unsafe impl GlobalAlloc for CLibrary {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { aligned_alloc(layout.align(), layout.pad_to_align().size()) }
    }

    unsafe fn dealloc(&self, allocated: *mut u8, _: Layout) {
        unsafe { free(allocated) }
    }
}

/// Makes the linker see the function that only the host calls.
#[used]
static FOR_THE_HOST: unsafe extern "C" fn(*mut u8, usize, usize, usize) -> *mut u8 = cabi_realloc;
