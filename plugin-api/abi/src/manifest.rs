//! Where the manifest is in a library, and how its record begins.

/// The section of an ELF file.
pub const ELF_SECTION: &str = ".delfin_plugin";

/// The segment and section of a Mach-O file.
pub const MACH_O_SECTION: &str = "__DATA,__delfin_plugin";

/// The first bytes of a record.
pub const MAGIC: [u8; 8] = *b"DELFINPL";

/// The version of the format of the record, which follows the magic number.
pub const FORMAT_VERSION: u32 = 1;
