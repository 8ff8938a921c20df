//! Windows.

#![expect(unsafe_code, reason = "the standard library locks only whole files")]

use std::{
    fs::{File, FileType, OpenOptions, TryLockError},
    io::{self, ErrorKind, Seek, SeekFrom},
    os::windows::{
        fs::{FileExt, OpenOptionsExt},
        io::AsRawHandle,
    },
    path::Path,
};

use windows_sys::Win32::{
    Foundation::ERROR_LOCK_VIOLATION,
    Storage::FileSystem::{
        BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
        GetFileInformationByHandle, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
    },
    System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0},
};

/// The byte that is locked: behind every content, because nothing can read or write a locked byte.
const LOCKED_HIGH: u32 = 0x7fff_ffff;

/// Whether this process may write a file, or create files in a folder.
pub(in crate::writer) fn check_writable(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)
        .map(drop)
}

/// Opens a file for reading and writing: one that is opened for appending cannot be truncated.
pub(in crate::writer) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// The next write is at the end.
pub(in crate::writer) fn go_to_end(mut file: &File, end: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(end)).map(drop)
}

/// Locks a file until it is closed. Others can read it.
pub(in crate::writer) fn try_lock(file: &File) -> Result<(), TryLockError> {
    let mut place = OVERLAPPED {
        Anonymous: OVERLAPPED_0 {
            Anonymous: OVERLAPPED_0_0 {
                Offset: 0,
                OffsetHigh: LOCKED_HIGH,
            },
        },
        ..OVERLAPPED::default()
    };
    let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: the handle is open, and without waiting the place is used during the call only.
    let locked = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) };
    if locked != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(match error.raw_os_error() {
        Some(code) if code.cast_unsigned() == ERROR_LOCK_VIOLATION => TryLockError::WouldBlock,
        _ => TryLockError::Error(error),
    })
}

/// Whether the path names the file. A link is not followed.
pub(in crate::writer) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let found = OpenOptions::new()
        .access_mode(0)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    Ok(id_of(&found)? == id_of(file)?)
}

/// The volume and the number of the file in it.
fn id_of(file: &File) -> io::Result<(u32, u32, u32)> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and the structure is written.
    let read = unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) };
    if read == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((
        found.dwVolumeSerialNumber,
        found.nFileIndexHigh,
        found.nFileIndexLow,
    ))
}

pub(in crate::writer) fn read_exact_at(
    file: &File,
    mut buffer: &mut [u8],
    mut at: u64,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, at) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                at += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a path names that is neither a regular file, nor a folder, nor a link.
pub(in crate::writer) const fn kind_of(_: FileType) -> &'static str {
    "a device"
}
