//! The public listener: files of the status page from memory, and nothing else; or the same files in a directory, for
//! any host of static files.
//!
//! The listener knows a [`Site`] and no more: no path leads from here to data, tokens or the inside of the service, and it runs on a
//! thread of its own, so that it answers while everything else is busy or gone.

mod conditions;
mod directory;
mod server;
mod site;

pub use directory::{WriteSiteError, write_site};
pub use server::{run, serve};
pub use site::Site;
