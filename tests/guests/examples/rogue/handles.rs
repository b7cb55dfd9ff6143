//! Calls of the component model's own functions that no toolchain makes, and hoards of what they hand
//! out.

use std::pin::pin;
use std::task::Poll;

use crate::wit_stream::StreamPayload;
use crate::{forever, sleep, spin, wit_future, wit_stream};

#[link(wasm_import_module = "$root")]
unsafe extern "C" {
    #[link_name = "[waitable-set-new]"]
    fn set_new() -> u32;
    #[link_name = "[waitable-set-wait]"]
    fn set_wait(set: u32, results: *mut [u32; 2]) -> u32;
    #[link_name = "[waitable-set-poll]"]
    fn set_poll(set: u32, results: *mut [u32; 2]) -> u32;
    #[link_name = "[waitable-set-drop]"]
    fn set_drop(set: u32);
    #[link_name = "[waitable-join]"]
    fn join(waitable: u32, set: u32);
    #[link_name = "[subtask-cancel]"]
    fn subtask_cancel(subtask: u32) -> u32;
    #[link_name = "[subtask-drop]"]
    fn subtask_drop(subtask: u32);
    #[link_name = "[backpressure-inc]"]
    fn backpressure();
    #[link_name = "[thread-yield]"]
    fn thread_yield() -> u32;
    #[link_name = "[context-set-0]"]
    fn context_set(value: *mut u8);
}

#[link(wasm_import_module = "[export]$root")]
unsafe extern "C" {
    #[link_name = "[task-cancel]"]
    fn task_cancel();
}

#[link(wasm_import_module = "[export]artifact:storage/artifact-store@0.1.0")]
unsafe extern "C" {
    #[link_name = "[task-return]delete"]
    fn return_delete(case: i32, error: i32, text: u64, length: i32);
}

/// A handle that nobody has.
const NOBODYS: u32 = 77_777;

pub async fn misuse(key: &str) {
    let calls = u8::VTABLE;
    let byte = [0_u8; 64].as_mut_ptr();
    // SAFETY: there is none; the host has to see to its own.
    unsafe {
        match key {
            "drop-nobodys-stream" => (calls.drop_readable)(NOBODYS),
            "write-nobodys-stream" => {
                let _ = (calls.start_write)(NOBODYS, byte, 1);
            }
            "drop-a-stream-twice" => {
                let (_, reader) = new_stream();
                (calls.drop_readable)(reader);
                (calls.drop_readable)(reader);
            }
            "read-a-dropped-stream" => {
                let (_, reader) = new_stream();
                (calls.drop_readable)(reader);
                (calls.start_read)(reader, byte, 1);
            }
            "write-twice-at-once" => {
                let (writer, _) = new_stream();
                (calls.start_write)(writer, byte, 1);
                (calls.start_write)(writer, byte, 1);
            }
            "write-after-the-end" => {
                let (writer, reader) = new_stream();
                (calls.drop_readable)(reader);
                for _ in 0..3 {
                    (calls.start_write)(writer, byte, 1);
                }
            }
            "drop-a-busy-stream" => {
                let (writer, _) = new_stream();
                (calls.start_write)(writer, byte, 1);
                (calls.drop_writable)(writer);
            }
            "cancel-what-was-not-begun" => _ = (calls.cancel_read)(new_stream().1),
            "read-into-nowhere" => {
                let (writer, reader) = new_stream();
                (calls.start_read)(reader, 0xffff_0000 as *mut u8, 0xfff_0000);
                (calls.start_write)(writer, byte, 1);
            }
            "write-from-nowhere" => {
                let (writer, reader) = new_stream();
                (calls.start_write)(writer, 0xffff_fff0 as *const u8, 0xfff_ffff);
                (calls.start_read)(reader, byte, 1);
            }
            "write-more-than-there-can-be" => {
                let _ = (calls.start_write)(new_stream().0, byte, 0xffff_ffff);
            }
            "take-one-end-for-the-other" => (calls.drop_writable)(new_stream().1),
            "take-a-stream-for-a-set" => set_drop(new_stream().1),
            "take-a-set-for-a-stream" => (calls.drop_readable)(set_new()),
            "join-nobodys-set" => join(new_stream().0, NOBODYS),
            "wait-for-nothing" => _ = set_wait(set_new(), &mut [0; 2]),
            "poll-for-ever" => {
                let set = set_new();
                loop {
                    set_poll(set, &mut [0; 2]);
                }
            }
            "wait-to-nowhere" => _ = set_poll(set_new(), 0xffff_fffc as *mut [u32; 2]),
            "drop-a-set-in-use" => {
                let set = set_new();
                join(new_stream().0, set);
                set_drop(set);
            }
            "cancel-nobodys-call" => _ = subtask_cancel(NOBODYS),
            "drop-nobodys-call" => subtask_drop(NOBODYS),
            "cancel-itself" => task_cancel(),
            "answer-twice" => {
                return_delete(0, 0, 0, 0);
                return_delete(0, 0, 0, 0);
            }
            "answer-with-no-case" => return_delete(99, 0, 0, 0),
            "answer-from-nowhere" => return_delete(1, 10, 0xffff_fff0, 0x7fff_ffff),
            "backpressure" => (0..100_000).for_each(|_| backpressure()),
            "yield-for-ever" => loop {
                thread_yield();
            },
            "other-context" => context_set(0xdead_beec as *mut u8),
            "hoard-sets" => (0..1_000_000).for_each(|_| _ = set_new()),
            _ => misuse_by_rules(key).await,
        }
    }
}

/// The writer and the reader.
unsafe fn new_stream() -> (u32, u32) {
    // SAFETY: it takes nothing.
    let both = unsafe { (u8::VTABLE.new)() };
    ((both >> 32) as u32, both as u32)
}

/// What a toolchain has words for.
async fn misuse_by_rules(key: &str) {
    match key {
        "hoard-calls" => {
            for _ in 0..10_000 {
                wit_bindgen::spawn_local(forever_quietly());
            }
            sleep(1).await;
        }
        "cancel-storm" => {
            for _ in 0..20_000 {
                let mut waited = pin!(sleep(3_600_000));
                std::future::poll_fn(|cx| Poll::Ready(waited.as_mut().poll(cx).is_ready())).await;
            }
        }
        "stream-storm" => (0..200_000).for_each(|_| drop(wit_stream::new::<u8>())),
        "future-storm" => {
            for _ in 0..20_000 {
                drop(wit_future::new::<Result<(), crate::Error>>(|| Ok(())));
            }
        }
        "calls-after-the-answer" => {
            (0..50).for_each(|_| wit_bindgen::spawn_local(forever_quietly()));
        }
        "spin-after-the-answer" => wit_bindgen::spawn_local(async {
            wit_bindgen::yield_async().await;
            spin();
        }),
        "trap-after-the-answer" => wit_bindgen::spawn_local(async {
            wit_bindgen::yield_async().await;
            panic!("as asked");
        }),
        "wait-for-itself" => {
            let (mut writer, reader) = wit_stream::new::<u8>();
            writer.write_all(vec![7; 1000]).await;
            drop(reader);
        }
        "yield-politely" => loop {
            wit_bindgen::yield_async().await;
        },
        "many-small" => {
            let mut hoard: Vec<Box<[u8]>> = Vec::new();
            loop {
                hoard.push(vec![1; 16].into());
            }
        }
        "one-large" => drop(std::hint::black_box(vec![1_u8; 1 << 30])),
        _ => {}
    }
}

async fn forever_quietly() {
    forever().await;
}
