//! Disks and volumes of this machine, and what the system counts of them.

#![expect(unsafe_code, reason = "the standard library has no such functions")]

use std::{
    fs::{File, OpenOptions},
    io,
    os::windows::{fs::OpenOptionsExt, io::AsRawHandle},
    ptr,
    time::Duration,
};

use windows_sys::Win32::{
    Foundation::{
        ERROR_INSUFFICIENT_BUFFER, ERROR_MORE_DATA, ERROR_NO_MORE_FILES, HANDLE,
        INVALID_HANDLE_VALUE,
    },
    Storage::FileSystem::{
        BusTypeNvme, FindFirstVolumeW, FindNextVolumeW, FindVolumeClose, GetDriveTypeW,
        GetVolumeInformationW, GetVolumePathNamesForVolumeNameW, QueryDosDeviceW,
    },
    System::{
        IO::DeviceIoControl,
        Ioctl::{
            IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, IOCTL_DISK_PERFORMANCE, IOCTL_STORAGE_QUERY_PROPERTY,
            STORAGE_PROPERTY_ID, StorageDeviceProperty, StorageDeviceSeekPenaltyProperty,
        },
        SystemServices::FILE_READ_ONLY_VOLUME,
        WindowsProgramming::{DRIVE_FIXED, DRIVE_REMOVABLE},
    },
};

use super::files::{check, wide};

/// The start of the name of each disk.
const DISK: &str = "PhysicalDrive";

/// Names of volumes have 49 characters.
const VOLUME_NAME: usize = 64;

/// Until a list of names fits: it can grow between two questions.
const MOST_CHARACTERS: usize = 1 << 20;

/// A disk or a volume that was opened for questions, which needs no rights.
#[derive(Debug)]
pub(crate) struct DiskDevice(File);

/// What a disk or a volume counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskCounters {
    pub(crate) read: TransferCounters,
    pub(crate) write: TransferCounters,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct TransferCounters {
    pub(crate) operations: u32,
    pub(crate) bytes: u64,
    /// Sum of the durations of all operations.
    pub(crate) time: Duration,
}

/// What a disk says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskDescription {
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) firmware: Option<String>,
    pub(crate) serial_number: Option<String>,
    pub(crate) is_nvme: bool,
}

/// A volume on a disk of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    /// The name with which it is opened.
    pub(crate) device: String,
    /// Its shortest path.
    pub(crate) mount_point: String,
    pub(crate) read_only: bool,
}

impl DiskDevice {
    /// # Errors
    ///
    /// No device has the name.
    pub(crate) fn open(name: &str) -> io::Result<Self> {
        OpenOptions::new().access_mode(0).open(name).map(Self)
    }

    /// # Errors
    ///
    /// The device counts nothing.
    pub(crate) fn counters(&self) -> io::Result<DiskCounters> {
        let answer = self.ask(IOCTL_DISK_PERFORMANCE, &[])?;
        let counters = |operations, bytes, time| {
            Some(TransferCounters {
                operations: number(&answer, operations)?,
                bytes: long(&answer, bytes)?,
                // In units of 100 nanoseconds.
                time: Duration::from_nanos(long(&answer, time)?.saturating_mul(100)),
            })
        };
        // As in DISK_PERFORMANCE.
        let read = counters(40, 0, 16);
        let write = counters(44, 8, 24);
        match (read, write) {
            (Some(read), Some(write)) => Ok(DiskCounters { read, write }),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let answer = self.ask(IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &[]).ok()?;
        // As in DISK_GEOMETRY_EX.
        long(&answer, 24)
    }

    pub(crate) fn description(&self) -> DiskDescription {
        let Ok(answer) = self.property(StorageDeviceProperty) else {
            return DiskDescription::default();
        };
        // As in STORAGE_DEVICE_DESCRIPTOR: where each text begins, or 0.
        let text = |at| {
            let start = number(&answer, at)? as usize;
            let bytes = answer.get(start..).filter(|_| start > 0)?;
            let text = bytes.split(|byte| *byte == 0).next()?;
            let text = String::from_utf8_lossy(text).trim().to_owned();
            Some(text).filter(|text| !text.is_empty())
        };
        DiskDescription {
            manufacturer: text(12),
            model: text(16),
            firmware: text(20),
            serial_number: text(24),
            is_nvme: number(&answer, 28) == Some(BusTypeNvme.cast_unsigned()),
        }
    }

    /// Whether its heads move; `None` if it does not tell.
    pub(crate) fn has_heads(&self) -> Option<bool> {
        let answer = self.property(StorageDeviceSeekPenaltyProperty).ok()?;
        // As in DEVICE_SEEK_PENALTY_DESCRIPTOR.
        answer.get(8).map(|penalty| *penalty != 0)
    }

    fn property(&self, property: STORAGE_PROPERTY_ID) -> io::Result<Vec<u8>> {
        // As STORAGE_PROPERTY_QUERY: the property, a standard question, and no parameter.
        let question = [property.cast_unsigned(), 0, 0].map(u32::to_ne_bytes);
        self.ask(IOCTL_STORAGE_QUERY_PROPERTY, question.as_flattened())
    }

    fn ask(&self, code: u32, question: &[u8]) -> io::Result<Vec<u8>> {
        let mut answer = vec![0_u8; 1024];
        let mut length = 0;
        // SAFETY: the handle is open, and the buffers have these lengths.
        let asked = unsafe {
            DeviceIoControl(
                self.0.as_raw_handle(),
                code,
                question.as_ptr().cast(),
                question.len() as u32,
                answer.as_mut_ptr().cast(),
                answer.len() as u32,
                &raw mut length,
                ptr::null_mut(),
            )
        };
        check(asked)?;
        answer.truncate(length as usize);
        Ok(answer)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

/// The names of the disks of this machine, in order.
///
/// # Errors
///
/// The system does not tell.
pub(crate) fn disk_names() -> io::Result<Vec<String>> {
    let mut names = vec![0_u16; 1 << 14];
    let length = loop {
        // SAFETY: the buffer has so many characters.
        let length =
            unsafe { QueryDosDeviceW(ptr::null(), names.as_mut_ptr(), names.len() as u32) };
        if length > 0 {
            break length as usize;
        }
        let error = io::Error::last_os_error();
        if !is(&error, ERROR_INSUFFICIENT_BUFFER) || names.len() >= MOST_CHARACTERS {
            return Err(error);
        }
        names.resize(names.len() * 2, 0);
    };
    let mut disks: Vec<u32> = texts(names.get(..length).unwrap_or_default())
        .filter_map(|name| name.strip_prefix(DISK)?.parse().ok())
        .collect();
    disks.sort_unstable();
    Ok(disks.iter().map(|disk| format!("{DISK}{disk}")).collect())
}

/// The volumes of this machine that have a path and a medium, without drives for CDs.
///
/// # Errors
///
/// The system does not tell.
pub(crate) fn volumes() -> io::Result<Vec<Volume>> {
    let mut name = [0_u16; VOLUME_NAME];
    // SAFETY: the buffer has so many characters.
    let search = unsafe { FindFirstVolumeW(name.as_mut_ptr(), name.len() as u32) };
    if search == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    let search = VolumeSearch(search);
    let mut volumes = Vec::new();
    loop {
        volumes.extend(volume(&name));
        // SAFETY: the search goes on, and the buffer has so many characters.
        let found = unsafe { FindNextVolumeW(search.0, name.as_mut_ptr(), name.len() as u32) };
        if let Err(error) = check(found) {
            return match is(&error, ERROR_NO_MORE_FILES) {
                true => Ok(volumes),
                false => Err(error),
            };
        }
    }
}

/// Ends when it is dropped.
struct VolumeSearch(HANDLE);

impl Drop for VolumeSearch {
    fn drop(&mut self) {
        // SAFETY: the search was begun, and ends once.
        unsafe { FindVolumeClose(self.0) };
    }
}

/// The volume with a name, which ends with 0.
fn volume(name: &[u16]) -> Option<Volume> {
    let mount_point = mount_point(name)?;
    let path = wide(mount_point.as_ref());
    // SAFETY: the path ends with 0.
    let kind = unsafe { GetDriveTypeW(path.as_ptr()) };
    if ![DRIVE_FIXED, DRIVE_REMOVABLE].contains(&kind) {
        return None;
    }
    let mut flags = 0;
    // SAFETY: the path ends with 0, the flags are written, and nothing else is wanted.
    let read = unsafe {
        GetVolumeInformationW(
            path.as_ptr(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut flags,
            ptr::null_mut(),
            0,
        )
    };
    check(read).ok()?;
    Some(Volume {
        // With the last character, it would be the root folder of the volume.
        device: texts(name).next()?.trim_end_matches('\\').to_owned(),
        mount_point,
        read_only: flags & FILE_READ_ONLY_VOLUME != 0,
    })
}

/// The shortest path of a volume, if it has any.
fn mount_point(name: &[u16]) -> Option<String> {
    let mut paths = vec![0_u16; 1 << 10];
    loop {
        let mut length = 0;
        // SAFETY: the name ends with 0, and the buffer has so many characters.
        let read = unsafe {
            GetVolumePathNamesForVolumeNameW(
                name.as_ptr(),
                paths.as_mut_ptr(),
                paths.len() as u32,
                &raw mut length,
            )
        };
        match check(read) {
            Ok(()) => break,
            Err(error) if is(&error, ERROR_MORE_DATA) && paths.len() < MOST_CHARACTERS => {
                paths.resize(paths.len() * 2, 0);
            }
            Err(_) => return None,
        }
    }
    texts(&paths).min_by_key(String::len)
}

/// The texts of a list. Each text ends with 0, and an empty one ends the list.
fn texts(list: &[u16]) -> impl Iterator<Item = String> {
    let texts = list.split(|character| *character == 0);
    texts
        .take_while(|text| !text.is_empty())
        .map(String::from_utf16_lossy)
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}
