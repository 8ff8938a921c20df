//! Files and folders.

#![expect(
    unsafe_code,
    reason = "the standard library does not write renames through"
)]

use std::{fs::OpenOptions, io, os::windows::ffi::OsStrExt, path::Path};

use windows_sys::Win32::Storage::FileSystem::{
    MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW,
};

/// A new file has the access list of its folder.
pub(crate) const fn let_group_read(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Renames a file, and replaces an existing one. When it returns, the new name is on the disk.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let [from, to] = [from, to].map(|path| {
        let wide = path.as_os_str().encode_wide();
        wide.chain([0]).collect::<Vec<u16>>()
    });
    let flags = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
    // SAFETY: both paths end with 0.
    match unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), flags) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Nothing: the system has no such call. [`rename`] writes through, and the file system has a log of
/// its entries.
pub(crate) const fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
