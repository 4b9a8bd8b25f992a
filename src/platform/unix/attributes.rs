//! Mode, owner, ACL and extended attributes of a copy: those of its source.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
use extended::copy_extended;

/// The ACL, which Linux shows as an attribute.
const ACL: &str = "system.posix_acl_access";

/// Gives a copy mode, owner, ACL and extended attributes of its source. What could not be kept, in words. `in_place`: the copy is to
/// replace its source.
///
/// # Errors
/// The mode can't be set.
pub fn copy_attributes(from: &File, to: &File, in_place: bool) -> io::Result<Vec<String>> {
    let metadata = from.metadata()?;
    let mut lost = Vec::new();
    let (uid, gid) = (metadata.uid(), metadata.gid());
    let owned = give_to(to, uid, gid)?;
    if !owned {
        lost.push(format!(
            "the copy belongs to the user who ran this: give it to the source's owner, with `chown {uid}:{gid}`"
        ));
    }
    // set-user-ID and set-group-ID have no place on a new db, nor on one of another owner
    let mode = metadata.mode() & if in_place && owned { 0o7777 } else { 0o777 };
    to.set_permissions(Permissions::from_mode(mode))?;
    let names = copy_extended(from, to);
    if names.iter().any(|name| name == ACL) {
        // without the ACL, its mask would become the rights of the group
        to.set_permissions(Permissions::from_mode(metadata.mode() & 0o707))?;
    }
    if !names.is_empty() {
        let names = names.join(", ");
        lost.push(format!(
            "the copy lacks attributes that its source has, as they could not be set: {names}"
        ));
    }
    Ok(lost)
}

/// Whether it belongs to both by now: only root may give files away, others only to a group of theirs.
fn give_to(file: &File, uid: u32, gid: u32) -> io::Result<bool> {
    let _ = fchown(file, Some(uid), Some(gid)).or_else(|_| fchown(file, None, Some(gid)));
    let mine = file.metadata()?;
    Ok((mine.uid(), mine.gid()) == (uid, gid))
}

/// The BSDs' are not copied.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn copy_extended(_from: &File, _to: &File) -> Vec<String> {
    Vec::new()
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
mod extended {
    use std::fs::File;

    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};

    use super::ACL;

    /// What the names or one value of a file's attributes take at most (Linux, `include/uapi/linux/limits.h`).
    const MAX_ATTRIBUTE: usize = 65_536;

    /// The kernel's own sums of a file's content, which is another.
    const OF_THE_CONTENT: [&str; 2] = ["security.ima", "security.evm"];

    /// Copies extended attributes; the names of those that could not be.
    pub(super) fn copy_extended(from: &File, to: &File) -> Vec<String> {
        let names = names_of(from);
        // from the folder's default ACL, which the source does not go by
        if !names.iter().any(|name| name == ACL) {
            let _ = fremovexattr(to, ACL);
        }
        let is_lost = |name: &String| {
            let Some(value) = value_of(from, name) else { return true };
            value_of(to, name).as_ref() != Some(&value)
                && fsetxattr(to, name, &value, XattrFlags::empty()).is_err()
        };
        names.into_iter().filter(|name| !OF_THE_CONTENT.contains(&name.as_str())).filter(is_lost).collect()
    }

    /// The names of a file's extended attributes; none on a file system without them.
    fn names_of(file: &File) -> Vec<String> {
        let mut names = vec![0; MAX_ATTRIBUTE];
        let bytes = flistxattr(file, &mut *names).unwrap_or(0);
        names.truncate(bytes);
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    fn value_of(file: &File, name: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; MAX_ATTRIBUTE];
        let bytes = fgetxattr(file, name, &mut *value).ok()?;
        value.truncate(bytes);
        Some(value)
    }
}
