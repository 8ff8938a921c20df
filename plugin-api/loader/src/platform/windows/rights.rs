//! Windows: who owns a file, and who can use it by its access list.

#![expect(unsafe_code, reason = "access lists are memory of the system")]

use std::{
    ffi::{OsStr, c_void},
    fmt,
    fs::File,
    io,
    os::windows::{
        ffi::OsStrExt,
        io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle},
    },
    path::Path,
    ptr, slice,
};

use windows_sys::{
    Win32::{
        Foundation::{
            ERROR_SUCCESS, GENERIC_ALL, GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE,
            LocalFree,
        },
        Security::{
            ACCESS_ALLOWED_ACE, ACE_HEADER, ACL,
            Authorization::{
                ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW,
                ConvertStringSidToSidW, GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT,
            },
            CheckTokenMembership, DACL_SECURITY_INFORMATION, GetAce, GetTokenInformation,
            INHERIT_ONLY_ACE, LookupAccountSidW, OWNER_SECURITY_INFORMATION, PSID,
            SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
        },
        Storage::FileSystem::{
            CREATE_NEW, CreateDirectoryW, CreateFileW, DELETE, FILE_APPEND_DATA,
            FILE_ATTRIBUTE_NORMAL, FILE_DELETE_CHILD, FILE_READ_DATA, FILE_SHARE_DELETE,
            FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_DATA, WRITE_DAC, WRITE_OWNER,
        },
        System::Threading::{GetCurrentProcess, OpenProcessToken},
    },
    core::PWSTR,
};

/// Rights with which a user changes a file, or what is in a folder.
const WRITE_RIGHTS: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | FILE_DELETE_CHILD
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_WRITE
    | GENERIC_ALL;

/// Rights with which a user reads a file.
const READ_RIGHTS: u32 = FILE_READ_DATA | GENERIC_READ | GENERIC_ALL;

/// Types of entries that allow something, with the layout of [`ACCESS_ALLOWED_ACE`]: plain, and with a
/// condition.
const ALLOWING: [u8; 2] = [0, 9];

/// SYSTEM, the administrators, and the installer of the system.
const ADMINISTRATORS: [&str; 3] = [
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
];

/// Everyone, users who have logged in, and the users of this machine.
const EVERY_USER: [&str; 3] = ["S-1-1-0", "S-1-5-11", "S-1-5-32-545"];

/// The owner: it is checked by itself.
const OWNER: [&str; 2] = ["S-1-3-0", "S-1-3-4"];

/// A user or a group, by its security identifier; shown by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account(String);

/// Who owns a file, and who can use it.
#[derive(Debug, Clone)]
pub struct FileRights {
    owner: Account,
    grants: Vec<(Account, u32)>,
}

impl Account {
    /// The user of this process.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn current() -> io::Result<Self> {
        let mut token = ptr::null_mut();
        // SAFETY: the handle of this process needs no closing, and `token` is written.
        let opened = unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) };
        check(opened)?;
        // SAFETY: the handle was just opened, and no one else owns it.
        let token = unsafe { OwnedHandle::from_raw_handle(token) };
        // Of 8-byte words, because the structure begins with a pointer. A SID has at most 68 bytes.
        let mut buffer = [0_u64; 16];
        let mut length = 0;
        // SAFETY: the buffer has so many writable bytes.
        let read = unsafe {
            GetTokenInformation(
                token.as_raw_handle(),
                TokenUser,
                buffer.as_mut_ptr().cast(),
                size_of_val(&buffer) as u32,
                &raw mut length,
            )
        };
        check(read)?;
        // SAFETY: the system has written the structure at the beginning of the buffer.
        let user = unsafe { &*buffer.as_ptr().cast::<TOKEN_USER>() };
        Self::of(user.User.Sid)
    }

    fn of(sid: PSID) -> io::Result<Self> {
        let mut text: PWSTR = ptr::null_mut();
        // SAFETY: callers pass a valid SID, and `text` is written.
        check(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
        let freed = Local(text.cast());
        // SAFETY: the system has written a text that ends with 0.
        let length = (0..)
            .take_while(|at| unsafe { *text.add(*at) } != 0)
            .count();
        // SAFETY: these are the characters before the 0.
        let name = String::from_utf16_lossy(unsafe { slice::from_raw_parts(text, length) });
        drop(freed);
        Ok(Self(name))
    }

    /// Whether the account may do everything on this machine.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        ADMINISTRATORS.contains(&&*self.0)
    }

    /// Whether every user belongs to the account.
    #[must_use]
    pub fn is_every_user(&self) -> bool {
        EVERY_USER.contains(&&*self.0)
    }

    /// The name; `None` if no machine that can be asked knows it.
    fn name(&self) -> Option<String> {
        let text = wide(self.0.as_ref());
        let mut sid: PSID = ptr::null_mut();
        // SAFETY: the text ends with 0, and `sid` is written.
        if unsafe { ConvertStringSidToSidW(text.as_ptr(), &raw mut sid) } == 0 {
            return None;
        }
        let freed = Local(sid);
        let (mut name, mut domain) = ([0_u16; 256], [0_u16; 256]);
        let (mut name_length, mut domain_length) = (256, 256);
        let mut kind = 0;
        // SAFETY: the SID is valid until it is freed, and the buffers have the lengths.
        let found = unsafe {
            LookupAccountSidW(
                ptr::null(),
                sid,
                name.as_mut_ptr(),
                &raw mut name_length,
                domain.as_mut_ptr(),
                &raw mut domain_length,
                &raw mut kind,
            )
        };
        drop(freed);
        let text = |buffer: &[u16], length: u32| {
            String::from_utf16_lossy(buffer.get(..length as usize).unwrap_or_default())
        };
        (found != 0).then(|| {
            let (domain, name) = (text(&domain, domain_length), text(&name, name_length));
            if domain.is_empty() {
                name
            } else {
                format!(r"{domain}\{name}")
            }
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().as_ref().unwrap_or(&self.0))
    }
}

impl FileRights {
    /// Of an open file or folder.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn of(file: impl AsHandle) -> io::Result<Self> {
        let handle = file.as_handle().as_raw_handle();
        let mut owner: PSID = ptr::null_mut();
        let mut list: *mut ACL = ptr::null_mut();
        let mut descriptor = ptr::null_mut();
        // SAFETY: the handle is open, and the pointers are written.
        let read = unsafe {
            GetSecurityInfo(
                handle,
                SE_FILE_OBJECT,
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                &raw mut owner,
                ptr::null_mut(),
                &raw mut list,
                ptr::null_mut(),
                &raw mut descriptor,
            )
        };
        if read != ERROR_SUCCESS {
            return Err(io::Error::from_raw_os_error(read.cast_signed()));
        }
        // Owner and list point into it.
        let descriptor = Local(descriptor);
        let owner = Account::of(owner)?;
        let grants = if list.is_null() {
            // Without a list, everyone may do everything.
            vec![(Account(EVERY_USER[0].to_owned()), u32::MAX)]
        } else {
            grants(list)?
        };
        drop(descriptor);
        Ok(Self { owner, grants })
    }

    /// The owner, who can change the list.
    #[must_use]
    pub fn owner(&self) -> &Account {
        &self.owner
    }

    /// The accounts that can write the file or the folder.
    pub fn writers(&self) -> impl Iterator<Item = &Account> {
        self.with(WRITE_RIGHTS)
    }

    /// The accounts that can read the file.
    pub fn readers(&self) -> impl Iterator<Item = &Account> {
        self.with(READ_RIGHTS)
    }

    fn with(&self, rights: u32) -> impl Iterator<Item = &Account> {
        let grants = self.grants.iter();
        let wanted = grants.filter(move |(_, mask)| mask & rights != 0);
        wanted
            .map(|(account, _)| account)
            .filter(|account| !OWNER.contains(&&*account.0))
    }
}

/// Whether this process is one of an administrator.
#[must_use]
pub fn is_elevated() -> bool {
    let text = wide(ADMINISTRATORS[1].as_ref());
    let mut sid: PSID = ptr::null_mut();
    // SAFETY: the text ends with 0, and `sid` is written.
    if unsafe { ConvertStringSidToSidW(text.as_ptr(), &raw mut sid) } == 0 {
        return false;
    }
    let freed = Local(sid);
    let mut is_member = 0;
    // SAFETY: the SID is valid until it is freed; no token means that of this process.
    let asked = unsafe { CheckTokenMembership(ptr::null_mut(), sid, &raw mut is_member) };
    drop(freed);
    asked != 0 && is_member != 0
}

/// Creates a folder that only this user and administrators can use. What is created in it gets the same list.
///
/// # Errors
///
/// Those of the system.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    let path = wide(path.as_os_str());
    with_private_list("OICI", |attributes| {
        // SAFETY: path and attributes are valid until the call returns.
        check(unsafe { CreateDirectoryW(path.as_ptr(), attributes) })
    })
}

/// Creates a file that only this user and administrators can use, and opens it for writing.
///
/// # Errors
///
/// The file exists, and those of the system.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    let path = wide(path.as_os_str());
    with_private_list("", |attributes| {
        // SAFETY: path and attributes are valid until the call returns.
        let file = unsafe {
            CreateFileW(
                path.as_ptr(),
                GENERIC_WRITE,
                FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                attributes,
                CREATE_NEW,
                FILE_ATTRIBUTE_NORMAL,
                ptr::null_mut(),
            )
        };
        if file == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just opened, and no one else owns it.
        Ok(File::from(unsafe { OwnedHandle::from_raw_handle(file) }))
    })
}

/// Calls a function with an access list that names SYSTEM, the administrators and this user only.
fn with_private_list<T>(
    inheritance: &str,
    create: impl FnOnce(*const SECURITY_ATTRIBUTES) -> io::Result<T>,
) -> io::Result<T> {
    let own = Account::current()?.0;
    let entries = ["SY", "BA", &own].map(|account| format!("(A;{inheritance};FA;;;{account})"));
    let list = wide(format!("D:P{}", entries.concat()).as_ref());
    let mut descriptor = ptr::null_mut();
    // SAFETY: the text ends with 0, and `descriptor` is written.
    let parsed = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            list.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            ptr::null_mut(),
        )
    };
    check(parsed)?;
    let descriptor = Local(descriptor);
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    };
    create(&raw const attributes)
}

fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// What the entries of a list allow. What others forbid is left out: then more is allowed than is
/// true, and never less.
fn grants(list: *const ACL) -> io::Result<Vec<(Account, u32)>> {
    // SAFETY: the list is valid until its descriptor is freed.
    let count = unsafe { (*list).AceCount };
    let mut grants = Vec::new();
    for index in 0..u32::from(count) {
        let mut entry: *mut c_void = ptr::null_mut();
        // SAFETY: the list is valid, and `entry` is written.
        check(unsafe { GetAce(list, index, &raw mut entry) })?;
        // SAFETY: each entry begins with a header.
        let header = unsafe { &*entry.cast::<ACE_HEADER>() };
        let is_inherited_only = u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0;
        if !ALLOWING.contains(&header.AceType) || is_inherited_only {
            continue;
        }
        let entry = entry.cast::<ACCESS_ALLOWED_ACE>();
        // SAFETY: an entry of this type has a mask, and a SID at `SidStart`.
        let (mask, sid) = unsafe { ((*entry).Mask, &raw mut (*entry).SidStart) };
        grants.push((Account::of(sid.cast())?, mask));
    }
    Ok(grants)
}

/// Memory that the system has allocated.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the system has allocated it with `LocalAlloc`, and it is freed once.
        unsafe { LocalFree(self.0) };
    }
}

fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
