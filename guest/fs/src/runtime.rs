//! What the standard library would provide: the allocator, and the panic handler. Only this file of
//! the crate has unsafe code.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;

/// Traps. The host reports the trap, drops the instance, and continues with a new one.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// The allocator of the target's C library. The host also allocates with it when it passes a list:
/// that library has the function that the canonical ABI requires.
struct CLibrary;

#[global_allocator]
static ALLOCATOR: CLibrary = CLibrary;

#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(align: usize, size: usize) -> *mut u8;
    fn free(allocated: *mut u8);
    fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8;
}

// SAFETY: `aligned_alloc` accepts any power of two and returns null if memory is used up; `free`
// gets only pointers from it.
unsafe impl GlobalAlloc for CLibrary {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { aligned_alloc(layout.align(), layout.pad_to_align().size()) }
    }

    unsafe fn dealloc(&self, allocated: *mut u8, _: Layout) {
        unsafe { free(allocated) }
    }
}

/// Makes the linker keep the function that only the host calls.
#[used]
static FOR_THE_HOST: unsafe extern "C" fn(*mut u8, usize, usize, usize) -> *mut u8 = cabi_realloc;

/// Something that an instance keeps between calls.
pub struct Slot<T>(UnsafeCell<Option<T>>);

// SAFETY: a component has one thread.
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// What `act`, which must not use this slot, makes of what is kept.
    pub fn with<R>(&self, act: impl FnOnce(&mut Option<T>) -> R) -> R {
        // SAFETY: there is one thread, it cannot be interrupted here, and `act` does not come back.
        act(unsafe { &mut *self.0.get() })
    }

    pub fn take(&self) -> Option<T> {
        self.with(Option::take)
    }

    pub fn put(&self, kept: T) {
        drop(self.with(|slot| slot.replace(kept)));
    }
}
