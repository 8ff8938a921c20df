//! Sockets for programs of this machine.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// Whether the system has such sockets.
pub(crate) const HAS_LOCAL_SOCKETS: bool = true;

/// A connection of a client, which blocks.
pub(crate) type LocalClient = UnixStream;

/// A connection that was accepted.
pub(crate) type LocalStream = tokio::net::UnixStream;

/// Listens at a path. Its file is removed at the end.
#[derive(Debug)]
pub(crate) struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalListener {
    /// Replaces the socket of a program that was killed. The mode decides who can connect.
    ///
    /// # Errors
    ///
    /// A program listens there, the path names something else, or the system refuses it.
    pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        remove_unused(path)?;
        // Only its owner can connect until the mode is set, because of the umask of the host.
        let listener = Self {
            listener: UnixListener::bind(path)?,
            path: path.to_owned(),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(listener)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a connection. Returns also the number of the user that runs the client.
    pub(crate) async fn accept(&self) -> io::Result<(LocalStream, u32)> {
        let (stream, _) = self.listener.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok((stream, uid))
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // The next host removes a file that is left behind.
        let _ = fs::remove_file(&self.path);
    }
}

fn remove_unused(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::other("it exists and is not a socket"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::other("another host uses it")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_of_a_killed_host_is_replaced_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.sock");
        // Its file stays.
        drop(UnixListener::bind(&path).unwrap());
        let listener = LocalListener::bind(&path, 0o660).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let error = LocalListener::bind(&path, 0o600).unwrap_err();
        assert_eq!(error.to_string(), "another host uses it");
        drop(listener);
        assert!(!path.exists());
        fs::write(&path, "text").unwrap();
        assert!(LocalListener::bind(&path, 0o600).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}
