//! The form in which a batch crosses to a plugin: the Arrow C Data Interface.
//!
//! The two structs mirror `ArrowArray` and `ArrowSchema` of
//! <https://arrow.apache.org/docs/format/CDataInterface.html> field by field, so
//! that no version of the arrow crates is part of the interface.

use abi_stable::StableAbi;
use std::ffi::{c_char, c_void};

/// `struct ArrowArray` of the Arrow C Data Interface.
///
/// The holder owns it: dropping it releases the buffers, unless the contents were moved
/// out ([`ArrowArray::take`]) or released before.
#[repr(C)]
#[derive(StableAbi)]
pub struct ArrowArray {
    pub length: i64,
    pub null_count: i64,
    pub offset: i64,
    pub n_buffers: i64,
    pub n_children: i64,
    pub buffers: *mut *const c_void,
    pub children: *mut *mut ArrowArray,
    pub dictionary: *mut ArrowArray,
    pub release: Option<unsafe extern "C" fn(array: *mut ArrowArray)>,
    pub private_data: *mut c_void,
}

/// `struct ArrowSchema` of the Arrow C Data Interface. A borrower must not release it.
#[repr(C)]
#[derive(StableAbi)]
pub struct ArrowSchema {
    pub format: *const c_char,
    pub name: *const c_char,
    pub metadata: *const c_char,
    pub flags: i64,
    pub n_children: i64,
    pub children: *mut *mut ArrowSchema,
    pub dictionary: *mut ArrowSchema,
    pub release: Option<unsafe extern "C" fn(schema: *mut ArrowSchema)>,
    pub private_data: *mut c_void,
}

/// One batch: a struct array, and the schema that describes it.
///
/// The callee owns the array, and may keep it or its buffers after the call. The schema
/// is borrowed for the call.
#[repr(C)]
#[derive(StableAbi)]
pub struct ArrowBatch<'a> {
    pub array: ArrowArray,
    pub schema: &'a ArrowSchema,
}

// SAFETY: the specification lets any thread use and release an array; the producer's
// callback must support it.
unsafe impl Send for ArrowArray {}

// SAFETY: as for `Send`, and a shared array is only read.
unsafe impl Sync for ArrowArray {}

// SAFETY: as for the array.
unsafe impl Send for ArrowSchema {}

// SAFETY: as for the array.
unsafe impl Sync for ArrowSchema {}

impl ArrowArray {
    /// An array that holds nothing and needs no release.
    #[must_use]
    pub const fn released() -> Self {
        Self {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: std::ptr::null_mut(),
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: None,
            private_data: std::ptr::null_mut(),
        }
    }

    /// Moves the contents out, so that dropping `self` releases nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::released())
    }
}

impl Drop for ArrowArray {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: a callback that is set has not been called, and the specification
            // requires exactly one call, with the struct itself.
            unsafe { release(self) }
        }
    }
}

impl Drop for ArrowSchema {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: as for an array.
            unsafe { release(self) }
        }
    }
}
