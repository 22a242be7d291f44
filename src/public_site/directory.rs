//! The public files in a directory, for any host of static files. It changes as a whole: what a reader finds is either all
//! of the old or all of the new, whenever the writer is interrupted.
//!
//! A fresh directory is filled beside it, then both change places in one step of the file system. A link that points at
//! the newest of several directories was rejected: hosts that copy directories do not follow it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::status::render::PublicFile;

/// In every directory that is ours, and so may be replaced with all that is in it.
const MARKER: &str = ".floodmark-status";
const MARKER_TEXT: &str = "Floodmark writes this directory, and replaces it as a whole.\n";
/// For everybody to read, whatever the mask of this process is: a web host is somebody else.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// The directory was not written; what was there before is there still.
#[derive(Debug, thiserror::Error)]
pub enum WriteSiteError {
    /// Something else is there.
    #[error("{} is not empty and was not written by `floodmark status export`: name another, or empty it", .0.display())]
    NotOurs(PathBuf),
    /// A path that leads out of the directory, or nowhere.
    #[error("{0:?} is no path of a file inside a directory")]
    Path(String),
    /// The file system cannot exchange two directories.
    #[error(
        "{} cannot be replaced as a whole: {error} (a mount point cannot: name a directory inside it; nor can some network \
         file systems)", .path.display()
    )]
    Exchange {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Anything else.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> WriteSiteError {
    let path = path.to_owned();
    move |error| WriteSiteError::Io { path, error }
}

/// Writes `files` as all there is in `directory`, which is made where it is not there. Waits for the disk.
///
/// # Errors
/// The directory is somebody else's, or the file system refuses.
pub fn write_site(directory: &Path, files: &[PublicFile]) -> Result<(), WriteSiteError> {
    let place = Place::of(directory)?;
    // One writer at a time; the lock ends with the handle.
    let parent = File::open(&place.parent).map_err(at(&place.parent))?;
    parent.lock().map_err(at(&place.parent))?;
    place.clear()?;
    let written = place.fill(files).and_then(|()| place.change(&parent));
    // Of what failed nothing stays, least of all on a disk that is full; why it failed is the error to tell.
    let cleared = place.clear();
    written.and(cleared)
}

/// Where things are.
#[derive(Debug)]
struct Place {
    parent: PathBuf,
    /// What readers read.
    directory: PathBuf,
    /// Beside it: the new one first, then the old one. Left over when a writer is interrupted.
    next: PathBuf,
}

impl Place {
    fn of(directory: &Path) -> Result<Self, WriteSiteError> {
        // Behind a link is the directory that changes, not the link.
        let directory = match fs::canonicalize(directory) {
            Ok(directory) => directory,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::path::absolute(directory).map_err(at(directory))?
            }
            Err(error) => return Err(at(directory)(error)),
        };
        let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
            return Err(WriteSiteError::NotOurs(directory));
        };
        fs::create_dir_all(parent).map_err(at(parent))?;
        let mut next = std::ffi::OsString::from(".");
        next.push(name);
        next.push(".floodmark-next");
        Ok(Self { parent: parent.to_owned(), next: parent.join(next), directory })
    }

    /// Removes what is beside the directory.
    fn clear(&self) -> Result<(), WriteSiteError> {
        if is_replaceable(&self.next)? { fs::remove_dir_all(&self.next).map_err(at(&self.next)) } else { Ok(()) }
    }

    /// Makes the new one.
    fn fill(&self, files: &[PublicFile]) -> Result<(), WriteSiteError> {
        is_replaceable(&self.directory)?;
        make_directory(&self.next)?;
        // First: an interrupted one is recognised by it.
        write(&self.next.join(MARKER), MARKER_TEXT.as_bytes())?;
        let mut directories = vec![self.next.clone()];
        for file in files {
            let relative = inside(&file.path)?;
            let path = self.next.join(relative);
            for ancestor in relative.ancestors().skip(1).filter(|ancestor| !ancestor.as_os_str().is_empty()) {
                let directory = self.next.join(ancestor);
                if !directories.contains(&directory) {
                    fs::create_dir_all(&directory).map_err(at(&directory))?;
                    fs::set_permissions(&directory, Permissions::from_mode(DIRECTORY_MODE)).map_err(at(&directory))?;
                    directories.push(directory);
                }
            }
            self.put(relative, &path, &file.body)?;
        }
        directories.iter().try_for_each(|directory| sync(directory))
    }

    /// A file that has not changed is the same file in both: most pages of incidents never do, and waiting for the disk is
    /// what takes time.
    fn put(&self, relative: &Path, path: &Path, body: &[u8]) -> Result<(), WriteSiteError> {
        let former = self.directory.join(relative);
        let is_same = fs::read(&former).is_ok_and(|text| text == body)
            && fs::metadata(&former).is_ok_and(|found| found.permissions().mode() & 0o777 == FILE_MODE);
        if is_same && fs::hard_link(&former, path).is_ok() { Ok(()) } else { write(path, body) }
    }

    /// The new one takes the place of the old one, in one step.
    fn change(&self, parent: &File) -> Result<(), WriteSiteError> {
        let flags = if is_replaceable(&self.directory)? { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        renameat_with(CWD, &self.next, CWD, &self.directory, flags)
            .map_err(|error| WriteSiteError::Exchange { path: self.directory.clone(), error: error.into() })?;
        parent.sync_all().map_err(at(&self.parent))
    }
}

/// Whether there is a directory that may go: ours, or an empty one. Nothing there: false.
fn is_replaceable(directory: &Path) -> Result<bool, WriteSiteError> {
    let mut entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(WriteSiteError::NotOurs(directory.to_owned()));
        }
        Err(error) => return Err(at(directory)(error)),
    };
    if entries.next().is_none() || directory.join(MARKER).is_file() {
        return Ok(true);
    }
    Err(WriteSiteError::NotOurs(directory.to_owned()))
}

/// A path that stays inside.
fn inside(path: &str) -> Result<&Path, WriteSiteError> {
    let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
    let refuse = path.is_empty() || path.ends_with('/') || path.contains('\0') || path == MARKER;
    let path_inside = Path::new(path);
    if refuse || !path_inside.components().all(is_name) {
        return Err(WriteSiteError::Path(path.to_owned()));
    }
    Ok(path_inside)
}

fn make_directory(path: &Path) -> Result<(), WriteSiteError> {
    DirBuilder::new().mode(DIRECTORY_MODE).create(path).map_err(at(path))?;
    fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)).map_err(at(path))
}

fn write(path: &Path, body: &[u8]) -> Result<(), WriteSiteError> {
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(body)?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.sync_all()
    };
    written().map_err(at(path))
}

fn sync(directory: &Path) -> Result<(), WriteSiteError> {
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(at(directory))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const EXPORTS: u32 = 200;

    fn file(path: &str, body: &str) -> PublicFile {
        PublicFile { path: path.to_owned(), content_type: "text/plain", body: body.as_bytes().to_vec() }
    }

    /// A site whose every file but one says which it is, at some length.
    fn site(version: u32) -> Vec<PublicFile> {
        let body = version.to_string().repeat(10_000);
        let mut files: Vec<PublicFile> =
            ["index.html", "api/v2/summary.json", "incidents/a.html", "badge.svg"].map(|path| file(path, &body)).into();
        files.push(file("style.css", "always the same"));
        files.push(file(&format!("incidents/only-{version}.html"), &body));
        files
    }

    /// The version of a whole site below `root`; an error where a file is not there any more.
    fn version(root: &Path) -> io::Result<String> {
        let texts = ["index.html", "api/v2/summary.json", "incidents/a.html", "badge.svg"]
            .map(|path| fs::read_to_string(root.join(path)));
        let texts: Vec<String> = texts.into_iter().collect::<io::Result<_>>()?;
        assert!(texts.iter().all(|text| *text == texts[0]), "a mixture");
        assert_eq!(fs::read_to_string(root.join("style.css"))?, "always the same");
        let number = texts[0][..texts[0].len() / 10_000].to_owned();
        assert_eq!(texts[0], number.repeat(10_000), "half a file");
        Ok(number)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn readers_see_all_of_one_export_and_never_a_mixture() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("public");
        write_site(&directory, &site(0)).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            // As a web host does: from one handle of the directory, where files of an old one may be gone already.
            let whole = threads.spawn(|| {
                let (mut seen, mut gone) = (0, 0);
                while !is_over.load(Ordering::Relaxed) {
                    let handle = File::open(&directory).unwrap();
                    match version(Path::new(&format!("/proc/self/fd/{}", handle.as_raw_fd()))) {
                        Ok(_) => seen += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::NotFound);
                            gone += 1;
                        }
                    }
                }
                (seen, gone)
            });
            // And by name: every file is there at any time, and whole.
            let single = threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for path in ["index.html", "incidents/a.html", "style.css", MARKER] {
                        let text = fs::read_to_string(directory.join(path)).unwrap();
                        assert!(
                            !text.is_empty() && text.len().is_multiple_of(10_000) || !path.ends_with("html"),
                            "{path}"
                        );
                    }
                }
            });
            for number in 1..=EXPORTS {
                write_site(&directory, &site(number)).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
            let (seen, gone) = whole.join().unwrap();
            single.join().unwrap();
            assert!(seen > 20, "{seen} whole sites were read, {gone} were gone");
        });
        assert_eq!(version(&directory).unwrap(), EXPORTS.to_string());
        assert_eq!(names(&directory.join("incidents")), ["a.html".to_owned(), format!("only-{EXPORTS}.html")]);
        assert_eq!(names(parent.path()), ["public"], "nothing is left beside it");
        let mode = |path: &str| fs::metadata(directory.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("index.html"), mode(""), mode("api/v2"), mode("api")), (0o644, 0o755, 0o755, 0o755));
    }

    #[test]
    fn a_writer_that_dies_between_two_steps_leaves_a_whole_site() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("public");
        let place = Place::of(&directory).unwrap();
        let lock = File::open(&place.parent).unwrap();
        // Before the first is there, and with half of it.
        make_directory(&place.next).unwrap();
        write_site(&directory, &site(1)).unwrap();
        place.fill(&site(2)[..2]).unwrap();
        assert_eq!(version(&directory).unwrap(), "1");
        write_site(&directory, &site(3)).unwrap();
        assert_eq!(version(&directory).unwrap(), "3");
        // With all of it, not changed yet.
        place.fill(&site(4)).unwrap();
        assert_eq!(version(&directory).unwrap(), "3");
        // Changed, the old one not removed; half removed.
        place.change(&lock).unwrap();
        assert_eq!(version(&directory).unwrap(), "4");
        fs::remove_file(place.next.join("index.html")).unwrap();
        write_site(&directory, &site(5)).unwrap();
        assert_eq!((version(&directory).unwrap().as_str(), names(parent.path())), ("5", vec!["public".to_owned()]));
    }

    #[test]
    fn what_is_somebody_elses_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let theirs = parent.path().join("home");
        fs::create_dir(&theirs).unwrap();
        // An empty one may be taken.
        write_site(&theirs, &site(1)).unwrap();
        fs::remove_file(theirs.join(MARKER)).unwrap();
        assert!(matches!(write_site(&theirs, &site(2)), Err(WriteSiteError::NotOurs(_))));
        assert_eq!((version(&theirs).unwrap().as_str(), names(parent.path())), ("1", vec!["home".to_owned()]));
        let plain = parent.path().join("file");
        fs::write(&plain, "text").unwrap();
        assert!(matches!(write_site(&plain, &site(1)), Err(WriteSiteError::NotOurs(_))));
        assert!(matches!(write_site(Path::new("/"), &site(1)), Err(WriteSiteError::NotOurs(_))));
        for path in ["", "/etc/passwd", "../up", "a/../../up", "a/", MARKER, "nul\0"] {
            let refused = write_site(&parent.path().join("fresh"), &[file(path, "x")]);
            assert!(matches!(refused, Err(WriteSiteError::Path(_))), "{path:?}: {refused:?}");
        }
        assert!(!parent.path().join("fresh").exists());
    }

    #[test]
    fn of_an_export_that_fails_nothing_stays() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("public");
        write_site(&directory, &site(1)).unwrap();
        // As where the disk is full half-way.
        let twice = [site(2), site(2)].concat();
        assert!(matches!(write_site(&directory, &twice), Err(WriteSiteError::Io { .. })));
        assert_eq!((version(&directory).unwrap(), names(parent.path())), ("1".to_owned(), vec!["public".to_owned()]));
    }

    #[test]
    fn unchanged_files_are_kept_and_a_link_leads_to_what_changes() {
        use std::os::unix::fs::MetadataExt as _;
        let parent = tempfile::tempdir().unwrap();
        let (directory, link) = (parent.path().join("deep/public"), parent.path().join("link"));
        write_site(&directory, &site(1)).unwrap();
        std::os::unix::fs::symlink(&directory, &link).unwrap();
        let inode = |path: &str| fs::metadata(directory.join(path)).unwrap().ino();
        let before = (inode("style.css"), inode("index.html"));
        write_site(&link, &site(2)).unwrap();
        assert!(link.is_symlink() && version(&directory).unwrap() == "2");
        assert_eq!(inode("style.css"), before.0);
        assert_ne!(inode("index.html"), before.1);
    }
}
