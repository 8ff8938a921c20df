//! The C interface of plugins, as Rust types: `delfin_plugin.h` field by field.
//!
//! Promises: the types need no other crate, so that a host without the crates of the Rust
//! interface can use them. A struct with `struct_size` grows at its end
//! only; [`read_prefix`] reads one whose author knows an older or a newer version.
//!
//! Knows nothing of what the functions do: the header is their documentation.

#![expect(
    unsafe_code,
    reason = "the pointers of a C interface cannot be checked by the compiler"
)]

use std::{ffi::c_void, mem::MaybeUninit};

/// The symbol of the table that a plugin exports, a [`CPlugin`].
pub const SYMBOL: &str = "delfin_plugin_v1";

/// The major version, which is in the name of the symbol as well.
pub const MAJOR: u32 = 1;

/// The minor version.
pub const MINOR: u32 = 0;

/// [`CPlugin::version`].
pub const VERSION: u32 = MAJOR << 16 | MINOR;

/// The start of `abi` in the manifest of a plugin, before the version of the C interface.
pub const MANIFEST_PREFIX: &str = "c ";

/// The id of the extension that checks settings without an instance: in this interface it is a
/// function of its own.
pub const CHECK_EXTENSION: &str = "delfin.check/1";

/// The results of `call_extension`.
pub const EXTENSION_OK: u32 = 0;
pub const EXTENSION_FAILED: u32 = 1;
pub const EXTENSION_UNKNOWN: u32 = 2;

/// `delfin_text`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CText {
    pub data: *const u8,
    pub len: usize,
}

/// `delfin_reply`.
pub type CReply = unsafe extern "C" fn(data: *mut c_void, bytes: CText);

/// `delfin_field`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CField {
    pub key: CText,
    pub value: CText,
}

/// `delfin_log_record`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CLogRecord {
    pub struct_size: u32,
    pub level: u32,
    pub target: CText,
    pub message: CText,
    pub fields: *const CField,
    pub field_count: usize,
    pub instance_unknown: u32,
    pub reserved: u32,
}

/// `delfin_host`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CHost {
    pub struct_size: u32,
    pub instance: u32,
    pub exporter: CText,
    pub state_dir: CText,
    pub max_level: u32,
    pub reserved: u32,
    pub context: *mut c_void,
    pub log: Option<unsafe extern "C" fn(host: *const Self, record: *const CLogRecord)>,
    pub count: Option<unsafe extern "C" fn(host: *const Self, counter: CText, by: u64)>,
    pub has_extension: Option<unsafe extern "C" fn(host: *const Self, id: CText) -> u32>,
    pub call_extension: Option<
        unsafe extern "C" fn(
            host: *const Self,
            id: CText,
            request: CText,
            reply: CReply,
            data: *mut c_void,
        ) -> u32,
    >,
}

impl CPart {
    /// No rows, for the members that a caller does not set.
    pub const EMPTY: Self = Self {
        batch_id: [0; 16],
        first_row: 0,
        rows: 0,
        accepted_ms: 0,
        storage_id: CText::new(&[]),
        complete: 0,
        reserved: 0,
    };
}

impl CHost {
    /// A host without functions, for the members that a caller does not set.
    pub const EMPTY: Self = Self {
        struct_size: size_of::<Self>() as u32,
        instance: 0,
        exporter: CText::new(&[]),
        state_dir: CText::new(&[]),
        max_level: 0,
        reserved: 0,
        context: std::ptr::null_mut(),
        log: None,
        count: None,
        has_extension: None,
        call_extension: None,
    };
}

impl CCall {
    /// A call without functions, for the members that a caller does not set.
    pub const EMPTY: Self = Self {
        struct_size: size_of::<Self>() as u32,
        attempt: 0,
        origin: 0,
        part_size: size_of::<CPart>() as u32,
        parts: std::ptr::null(),
        part_count: 0,
        context: std::ptr::null_mut(),
        remaining_ns: None,
        cancelled: None,
        set_message: None,
        set_retry_after: None,
        add_rows: None,
        add_extra: None,
        has_extension: None,
        call_extension: None,
    };
}

/// `delfin_part`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CPart {
    pub batch_id: [u8; 16],
    pub first_row: u64,
    pub rows: u64,
    pub accepted_ms: i64,
    pub storage_id: CText,
    pub complete: u32,
    pub reserved: u32,
}

/// `delfin_call`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CCall {
    pub struct_size: u32,
    pub attempt: u32,
    pub origin: u32,
    pub part_size: u32,
    pub parts: *const CPart,
    pub part_count: usize,
    pub context: *mut c_void,
    pub remaining_ns: Option<unsafe extern "C" fn(call: *const Self) -> u64>,
    pub cancelled: Option<unsafe extern "C" fn(call: *const Self) -> u32>,
    pub set_message: Option<unsafe extern "C" fn(call: *mut Self, message: CText)>,
    pub set_retry_after: Option<unsafe extern "C" fn(call: *mut Self, milliseconds: u64)>,
    pub add_rows: Option<
        unsafe extern "C" fn(call: *mut Self, first: u64, rows: u64, outcome: u32, reason: CText),
    >,
    pub add_extra: Option<unsafe extern "C" fn(call: *mut Self, name: CText, value: CText)>,
    pub has_extension: Option<unsafe extern "C" fn(call: *const Self, id: CText) -> u32>,
    pub call_extension: Option<
        unsafe extern "C" fn(
            call: *const Self,
            id: CText,
            request: CText,
            reply: CReply,
            data: *mut c_void,
        ) -> u32,
    >,
}

/// A function of an instance that gets no rows.
pub type CInstanceCall = unsafe extern "C" fn(instance: *mut c_void, call: *mut CCall) -> u32;

/// `delfin_plugin`. The arrays and schemas are those of the Arrow C Data Interface.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CPlugin {
    pub struct_size: u32,
    pub version: u32,
    pub create: Option<
        unsafe extern "C" fn(
            exporter: CText,
            config: CText,
            host: *const CHost,
            call: *mut CCall,
            instance: *mut *mut c_void,
        ) -> u32,
    >,
    pub export_batch: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            schema: *const c_void,
            array: *mut c_void,
            call: *mut CCall,
        ) -> u32,
    >,
    pub flush: Option<CInstanceCall>,
    pub health: Option<CInstanceCall>,
    pub tick: Option<CInstanceCall>,
    pub close: Option<CInstanceCall>,
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    pub check:
        Option<unsafe extern "C" fn(exporter: CText, config: CText, call: *mut CCall) -> u32>,
    pub has_extension: Option<unsafe extern "C" fn(id: CText) -> u32>,
    pub call_extension: Option<
        unsafe extern "C" fn(id: CText, request: CText, reply: CReply, data: *mut c_void) -> u32,
    >,
}

/// A struct that begins with its size, and for which all zeros are a value.
///
/// # Safety
///
/// It is `repr(C)`, its first field is `struct_size: u32`, and zeros are a valid value of each
/// field.
pub unsafe trait Growing: Copy {
    /// The size in version 1.0. A smaller struct is a mistake of its author.
    const FIRST_SIZE: usize;
}

// SAFETY: numbers, pointers and optional functions.
unsafe impl Growing for CPlugin {
    const FIRST_SIZE: usize = 88;
}

// SAFETY: as above.
unsafe impl Growing for CHost {
    const FIRST_SIZE: usize = 88;
}

// SAFETY: as above.
unsafe impl Growing for CCall {
    const FIRST_SIZE: usize = 104;
}

// SAFETY: as above.
unsafe impl Growing for CLogRecord {
    const FIRST_SIZE: usize = 64;
}

/// Reads a struct of another version: what its author does not know is zero, and what this
/// version does not know is left out. `None` if it is smaller than in version 1.0.
///
/// # Safety
///
/// `from` points to a struct that begins with its size, and has as many bytes as it says.
#[must_use]
pub unsafe fn read_prefix<T: Growing>(from: *const T) -> Option<T> {
    // SAFETY: the struct begins with its size.
    let size = unsafe { from.cast::<u32>().read() } as usize;
    if size < T::FIRST_SIZE {
        return None;
    }
    let mut value = MaybeUninit::<T>::zeroed();
    let bytes = size.min(size_of::<T>());
    // SAFETY: both have at least this many bytes, and do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(from.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), bytes);
    }
    // SAFETY: zeros are a value, and so is the prefix of a struct of the same type.
    Some(unsafe { value.assume_init() })
}

impl CText {
    /// Lends a text or bytes to the other side.
    #[must_use]
    pub const fn new(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// The bytes.
    ///
    /// # Safety
    ///
    /// The other side has filled it in, and the bytes live as long as the caller uses them.
    #[must_use]
    pub const unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.data.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the caller says so.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn the_structs_have_at_least_the_size_of_the_first_version() {
        assert!(size_of::<CPlugin>() >= CPlugin::FIRST_SIZE);
        assert!(size_of::<CHost>() >= CHost::FIRST_SIZE);
        assert!(size_of::<CCall>() >= CCall::FIRST_SIZE);
        assert!(size_of::<CLogRecord>() >= CLogRecord::FIRST_SIZE);
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Grown {
        struct_size: u32,
        first: u32,
        second: u64,
    }

    // SAFETY: numbers.
    unsafe impl Growing for Grown {
        const FIRST_SIZE: usize = 8;
    }

    #[test]
    fn what_the_author_does_not_know_is_zero_and_less_than_the_first_version_is_refused() {
        let read = |struct_size| {
            let grown = Grown {
                struct_size,
                first: 1,
                second: 2,
            };
            // SAFETY: it has at least as many bytes as each size below that is read.
            unsafe { read_prefix(&raw const grown) }.map(|grown| (grown.first, grown.second))
        };
        assert_eq!(read(4), None);
        assert_eq!(read(8), Some((1, 0)));
        assert_eq!(read(16), Some((1, 2)));
        assert_eq!(read(400), Some((1, 2)));
    }
}
