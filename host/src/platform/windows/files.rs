//! Files and folders.

#![expect(unsafe_code, reason = "the standard library has no such functions")]

use std::{
    ffi::OsStr,
    fs::{File, Metadata, OpenOptions},
    io,
    os::windows::{
        ffi::OsStrExt,
        fs::{FileExt, OpenOptionsExt},
        io::AsRawHandle,
    },
    path::Path,
};

pub(crate) use delfin_plugin_loader::platform::create_private_file;
use delfin_plugin_loader::platform::create_private_folder;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ALLOCATION_INFO, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, FileAllocationInfo, GetDiskFreeSpaceExW,
    GetFileInformationByHandle, MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW,
    SetFileInformationByHandle,
};

use super::super::FileReaders;

/// Tells whether two paths or files are the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    volume: u32,
    index: u64,
}

impl FileId {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let found = information(file)?;
        Ok(Self {
            volume: found.dwVolumeSerialNumber,
            index: u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow),
        })
    }

    /// Follows links.
    pub(crate) fn of_path(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .access_mode(0)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(path)?;
        Self::of(&file)
    }
}

fn information(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and the structure is written.
    let read = unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) };
    check(read)?;
    Ok(found)
}

/// A new file has the access list of its folder.
pub(in crate::platform) const fn restrict(
    options: &mut OpenOptions,
    _: FileReaders,
) -> &mut OpenOptions {
    options
}

pub(in crate::platform) fn open_no_follow(
    options: &mut OpenOptions,
    path: &Path,
) -> io::Result<File> {
    let file = options
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    if file.metadata()?.file_type().is_symlink() {
        return Err(io::Error::other("it is a symbolic link"));
    }
    Ok(file)
}

/// Named pipes have paths of their own, which do not wait.
pub(in crate::platform) fn open_no_wait(
    options: &mut OpenOptions,
    path: &Path,
) -> io::Result<File> {
    options.open(path)
}

/// The mode of Unix for a file that only its user can read.
pub(crate) const fn mode_of(_: &Metadata) -> u32 {
    0o600
}

/// Creates a file with the mode of another one, and opens it for writing: see [`mode_of`].
pub(crate) fn create_file_of_mode(path: &Path, _: u32) -> io::Result<File> {
    create_private_file(path)
}

/// Creates a folder in an existing one. A user has no group that is meant for this.
pub(crate) fn create_folder(path: &Path, _: FileReaders) -> io::Result<()> {
    create_private_folder(path)
}

/// Creates a folder, and those above it, if they do not exist.
pub(crate) fn create_folders(path: &Path, readers: FileReaders) -> io::Result<()> {
    if path.is_dir() || path == Path::new("") {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        create_folders(above, readers)?;
    }
    match create_folder(path, readers) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// How many names the file has.
pub(crate) fn link_count(file: &File) -> io::Result<u64> {
    Ok(information(file)?.nNumberOfLinks.into())
}

/// Reads at an offset, and moves the position of the file.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    match file.seek_read(buffer, offset) {
        // The end of the file.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        read => read,
    }
}

/// Writes at an offset, and moves the position of the file.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Renames a file, and replaces an existing one. When it returns, the new name is on the disk.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (wide(from.as_os_str()), wide(to.as_os_str()));
    let flags = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
    // SAFETY: both paths end with 0.
    check(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), flags) })
}

/// Nothing: the system has no such call. [`rename`] writes through, and the file system has a log of
/// its entries.
pub(crate) const fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Bytes that this user can still write; `None` if the system does not report them.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    volume_space(folder).ok().map(|space| space.available)
}

/// The space of a volume, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VolumeSpace {
    pub(crate) total: u64,
    pub(crate) free: u64,
    /// What this user can still write.
    pub(crate) available: u64,
}

/// The space of the volume with a folder.
///
/// # Errors
///
/// The system does not tell.
pub(crate) fn volume_space(folder: &Path) -> io::Result<VolumeSpace> {
    let folder = wide(folder.as_os_str());
    let mut space = VolumeSpace::default();
    // SAFETY: the path ends with 0, and the numbers are written.
    check(unsafe {
        GetDiskFreeSpaceExW(
            folder.as_ptr(),
            &raw mut space.available,
            &raw mut space.total,
            &raw mut space.free,
        )
    })?;
    Ok(space)
}

/// Gives a file so many bytes of the disk.
///
/// # Errors
///
/// The disk does not have them.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    let size = i64::try_from(bytes).map_err(io::Error::other)?;
    let info = FILE_ALLOCATION_INFO {
        AllocationSize: size,
    };
    // SAFETY: the handle is open, and the structure is of this class.
    let allocated = unsafe {
        SetFileInformationByHandle(
            file.as_raw_handle(),
            FileAllocationInfo,
            (&raw const info).cast(),
            size_of_val(&info) as u32,
        )
    };
    check(allocated)?;
    // The length keeps what was allocated when the file is closed.
    file.set_len(bytes)
}

/// Nothing: a file of a folder belongs to those whom its access list names.
pub(crate) const fn give_to_owner_of(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// As [`give_to_owner_of`].
pub(crate) const fn give_tree_to_owner_of(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

pub(super) fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
