//! Child processes that never outlive this one.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

type Order = (Command, SyncSender<io::Result<Child>>);

/// Starts a process that the kernel ends when this one does, however that happens.
pub fn spawn(mut command: Command) -> io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent's memory.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let (answer, answered) = sync_channel(1);
    spawner().send((command, answer)).unwrap();
    answered.recv().unwrap()
}

/// One thread for all of them: the kernel ends a process with the THREAD that started it, and this one never ends.
fn spawner() -> &'static SyncSender<Order> {
    static SPAWNER: OnceLock<SyncSender<Order>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (orders, incoming) = sync_channel::<Order>(1);
        std::thread::spawn(move || {
            for (mut command, answer) in incoming {
                answer.send(command.spawn()).unwrap();
            }
        });
        orders
    })
}
