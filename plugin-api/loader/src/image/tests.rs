//! Minimal files of the formats for which this machine has no compiler.

use super::*;

const MANIFEST: &[u8] = b"the manifest";

fn parse(data: &[u8]) -> Library<'_> {
    refused_or_parsed(data)
        .map_err(|reason| reason.to_string())
        .unwrap()
}

fn refused_or_parsed(data: &[u8]) -> Result<Library<'_>, Reason> {
    Library::parse(data, Path::new("/p/x"), &SystemFolders::read())
}

#[test]
fn a_manifest_is_found_in_a_mach_o_library() {
    let file = mach_o("__delfin_plugin");
    let library = parse(&file);
    assert_eq!(library.manifest, MANIFEST);
    assert_eq!(library.image.format, "macho");
    assert_eq!(library.image.architecture, "aarch64");
    let other = mach_o("__delfin_other");
    let refused = refused_or_parsed(&other).err();
    assert_eq!(refused, Some(Reason::NoManifest));
}

#[test]
fn a_manifest_is_found_in_a_pe_library() {
    let file = pe();
    let library = parse(&file);
    assert_eq!(library.manifest, MANIFEST);
    assert_eq!(library.image.format, "pe");
    assert_eq!(library.image.architecture, "x86_64");
    assert_eq!(library.image.needed, ["VENDOR.dll"]);
    // Of another system: this machine does not have them.
    assert_eq!(library.image.missing, [""; 0]);
}

#[test]
fn a_file_that_ends_before_its_segments_is_truncated() {
    for whole in [mach_o("__delfin_plugin"), pe()] {
        let cut = &whole[..whole.len() - 1];
        let refused = refused_or_parsed(cut).err();
        assert_eq!(refused, Some(Reason::Truncated));
    }
}

/// A Mach-O library of one segment with one section.
fn mach_o(section: &str) -> Vec<u8> {
    let size = MANIFEST.len() as u32;
    let (header, segment, sections) = (32, 72, 80);
    let data = header + segment + sections;
    let mut file = Vec::new();
    // Magic, arm64, a dynamic library with one load command and its length.
    numbers(
        &mut file,
        &[0xfeed_facf, 0x0100_000c, 0, 6, 1, segment + sections, 0, 0],
    );
    // LC_SEGMENT_64: name, address and size, offset and size in the file.
    numbers(&mut file, &[0x19, segment + sections]);
    name(&mut file, "__DATA");
    numbers(&mut file, &[0, 0, size, 0, data, 0, size, 0]);
    // Protections, one section, flags.
    numbers(&mut file, &[3, 3, 1, 0]);
    name(&mut file, section);
    name(&mut file, "__DATA");
    // Address, size, offset; no relocations.
    numbers(&mut file, &[0, 0, size, 0, data, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(MANIFEST);
    file
}

/// A PE library of two sections: one with its name cut to eight characters, and one that imports a
/// library twice.
fn pe() -> Vec<u8> {
    let size = MANIFEST.len() as u32;
    let (dos, headers, optional, section) = (64, 4 + 20, 240, 40);
    let data = dos + headers + optional + 2 * section;
    let imported = b"VENDOR.dll\0";
    // Two descriptors of one library and the end of the list, in front of the name.
    let (descriptors, imports) = (3 * 20, 3 * 20 + imported.len() as u32);
    let mut file = b"MZ".to_vec();
    file.resize(60, 0);
    numbers(&mut file, &[dos]);
    file.extend(b"PE\0\0");
    // x86-64 and two sections; no symbols; the optional header's length, a DLL.
    numbers(&mut file, &[0x0002_8664, 0, 0, 0, 0x2022_0000 | optional]);
    let start = file.len();
    numbers(&mut file, &[0x20b]);
    file.resize(start + 108, 0);
    // Sixteen tables; the second one has the imports.
    numbers(&mut file, &[16, 0, 0, 0x2000, imports]);
    file.resize(start + optional as usize, 0);
    file.extend(&ELF_SECTION.as_bytes()[..8]);
    numbers(&mut file, &[size, 0x1000, size, data, 0, 0, 0, 0]);
    file.extend(b".idata\0\0");
    numbers(
        &mut file,
        &[imports, 0x2000, imports, data + size, 0, 0, 0, 0],
    );
    file.extend(MANIFEST);
    for _ in 0..2 {
        numbers(&mut file, &[0, 0, 0, 0x2000 + descriptors, 0]);
    }
    numbers(&mut file, &[0; 5]);
    file.extend(imported);
    file
}

fn numbers(file: &mut Vec<u8>, numbers: &[u32]) {
    file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn name(file: &mut Vec<u8>, name: &str) {
    let end = file.len() + 16;
    file.extend(name.as_bytes());
    file.resize(end, 0);
}
