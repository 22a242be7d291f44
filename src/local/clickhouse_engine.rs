//! Inside the child process: load the ClickHouse shared library and enter its command line.

use std::convert::Infallible;
use std::ffi::{CString, c_char, c_int};
use std::path::Path;

/// The C entry point: `clickhouse-local`'s `main`.
const ENTRY_POINT: &[u8] = b"chdb_query_cmdline\0";

type EntryPoint = unsafe extern "C" fn(argc: c_int, argv: *mut *mut c_char) -> *mut std::ffi::c_void;

/// Runs the engine with `arguments` (without a program name) until its standard input is closed, then ends this process.
///
/// # Errors
/// Returns only when the library cannot be loaded or has no such entry point.
pub fn run_until_stdin_closes(library: &Path, arguments: Vec<CString>) -> libloading::Error {
    match enter(library, arguments) {
        Err(error) => error,
    }
}

fn enter(library: &Path, arguments: Vec<CString>) -> Result<Infallible, libloading::Error> {
    // SAFETY: the library is the pinned engine; its initialisers are run in this process, which exists for nothing else.
    let library = unsafe { libloading::Library::new(library)? };
    // SAFETY: the signature is the one of the library's header, `chdb.h`.
    let entry_point: libloading::Symbol<'_, EntryPoint> = unsafe { library.get(ENTRY_POINT)? };
    let mut argv: Vec<*mut c_char> =
        std::iter::once(c"floodmark".to_owned()).chain(arguments).map(CString::into_raw).collect();
    let argc = c_int::try_from(argv.len()).unwrap_or(c_int::MAX);
    argv.push(std::ptr::null_mut());
    // SAFETY: `argv` holds `argc` C strings that live until the process ends, and a terminating null.
    unsafe { entry_point(argc, argv.as_mut_ptr()) };
    // SAFETY: ends the process without running static destructors: the engine's threads are still there, and its
    // destructors race with them. Everything that matters is on disk when the entry point returns.
    unsafe { libc::_exit(0) }
}
