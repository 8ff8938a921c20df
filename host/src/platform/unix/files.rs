//! Files and folders.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, fchown},
        },
    },
    path::Path,
};

use rustix::fs::{
    AtFlags, CWD, Dir, FallocateFlags, FileType, Gid, Mode, OFlags, Uid, chownat, fallocate,
    openat, statvfs,
};

use super::super::FileReaders;

/// Tells whether two paths or files are the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Follows links.
    pub(crate) fn of_path(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&path.metadata()?))
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

pub(in crate::platform) fn restrict(
    options: &mut OpenOptions,
    readers: FileReaders,
) -> &mut OpenOptions {
    options.mode(match readers {
        FileReaders::Owner => 0o600,
        FileReaders::Group => 0o640,
    })
}

pub(in crate::platform) fn open_no_follow(
    options: &mut OpenOptions,
    path: &Path,
) -> io::Result<File> {
    let flag = OFlags::NOFOLLOW.bits().cast_signed();
    options.custom_flags(flag).open(path)
}

pub(in crate::platform) fn open_no_wait(
    options: &mut OpenOptions,
    path: &Path,
) -> io::Result<File> {
    let flag = OFlags::NONBLOCK.bits().cast_signed();
    options.custom_flags(flag).open(path)
}

/// Creates a file that only this user can use, and opens it for writing.
///
/// # Errors
///
/// The file exists, and those of the system.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    restrict(&mut options, FileReaders::Owner)
        .write(true)
        .create_new(true)
        .open(path)
}

/// Permissions of a file, to give them to a copy.
pub(crate) fn mode_of(metadata: &Metadata) -> u32 {
    metadata.mode()
}

/// Creates a file with permissions of [`mode_of`], and opens it for writing.
pub(crate) fn create_file_of_mode(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).open(path)
}

/// Creates a folder in an existing one.
pub(crate) fn create_folder(path: &Path, readers: FileReaders) -> io::Result<()> {
    builder(readers).create(path)
}

/// Creates a folder, and those above it, if they do not exist.
pub(crate) fn create_folders(path: &Path, readers: FileReaders) -> io::Result<()> {
    builder(readers).recursive(true).create(path)
}

fn builder(readers: FileReaders) -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(match readers {
        FileReaders::Owner => 0o700,
        FileReaders::Group => 0o750,
    });
    builder
}

/// How many names the file has.
pub(crate) fn link_count(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.nlink())
}

/// Reads at an offset. The position of the file does not count.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Writes at an offset. The position of the file does not count.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Renames a file, and replaces an existing one.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Bytes that this user can still write; `None` if the system does not report them.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Gives a file so many bytes of the disk.
///
/// # Errors
///
/// The disk does not have them, or the file system cannot do so without writing.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    Ok(fallocate(file, FallocateFlags::empty(), 0, bytes)?)
}

/// Gives a file to the owner of a folder. Root may do so.
pub(crate) fn give_to_owner_of(folder: &Path, file: &File) -> io::Result<()> {
    let owner = folder.metadata()?;
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Gives a folder and all that is in it to the owner of another folder. Root may do so.
pub(crate) fn give_tree_to_owner_of(folder: &Path, tree: &Path) -> io::Result<()> {
    let owner = folder.metadata()?;
    let owner = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    change_owner(CWD, tree, owner)
}

/// Follows no link and walks from descriptor to descriptor: the new owner may already replace
/// entries by links to files of others.
fn change_owner(folder: BorrowedFd<'_>, name: &Path, owner: (Uid, Gid)) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(folder, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
        match entry.file_type() {
            _ if [".", ".."].map(Path::new).contains(&name) => {}
            FileType::Directory => change_owner(opened.as_fd(), name, owner)?,
            _ => chownat(
                &opened,
                name,
                Some(owner.0),
                Some(owner.1),
                AtFlags::SYMLINK_NOFOLLOW,
            )?,
        }
    }
    rustix::fs::fchown(&opened, Some(owner.0), Some(owner.1))?;
    Ok(())
}
