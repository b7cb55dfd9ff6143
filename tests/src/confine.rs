//! Processes to which the system refuses something: calls of it, open files, large files.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has the system answer each of `calls` with its error, in the process that `command` starts and
/// all of its own. That needs no privilege, and lasts as long as they do.
pub fn refuse(command: &mut Command, calls: &[(libc::c_long, libc::c_int)]) {
    let of = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let jump_if_equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    // The number of the call comes first in what a filter sees.
    let mut filter = vec![of(load, 0, 0, 0)];
    for (call, error) in calls {
        filter.push(of(jump_if_equal, 0, 1, *call as u32));
        filter.push(of(answer, 0, 0, libc::SECCOMP_RET_ERRNO | *error as u32));
    }
    filter.push(of(answer, 0, 0, libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let program =
            libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: both calls read their arguments alone, which outlive them.
        let refused = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) != 0
        };
        if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: what runs between fork and exec are the two calls above, which allocate nothing.
    unsafe { command.pre_exec(install) };
}

/// Permits the process that `command` starts no more than `most` of `resource`.
pub fn limit(command: &mut Command, resource: libc::__rlimit_resource_t, most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    let set = move || {
        // SAFETY: it reads its argument alone.
        match unsafe { libc::setrlimit(resource, &limit) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(set) };
}

/// Has the process that `command` starts take no notice of `signal`.
pub fn ignore(command: &mut Command, signal: libc::c_int) {
    dispose(command, signal, libc::SIG_IGN);
}

/// Has it take notice of the signals that end a process, whatever these tests were started with: a
/// shell starts what runs in the background without some of them.
pub fn hear(command: &mut Command) {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        dispose(command, signal, libc::SIG_DFL);
    }
}

fn dispose(command: &mut Command, signal: libc::c_int, how: libc::sighandler_t) {
    let set = move || {
        // SAFETY: no handler of this process is concerned: it is between fork and exec.
        unsafe { libc::signal(signal, how) };
        Ok(())
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(set) };
}
