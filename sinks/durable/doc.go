// Package durable makes files that appear under their names only when they are whole.
//
// A file is written under a temporary name that begins with "." (O_EXCL,
// O_NOFOLLOW, mode 0600), synced, looked at again, renamed without replacing
// anything, and its folder synced. Until then nothing stands under the final name,
// and after any failure the temporary file is gone. Everything happens relative to
// a descriptor of the folder, so that a folder that is swapped for a link half way
// leads nowhere else.
//
// Where files may be made: in a folder that is itself no symbolic link, and that no
// one but its owner may write. A sticky folder (/tmp) is as good: there, others
// can add names but can neither rename nor remove ours, and names that they add
// first are refused, not followed. The owner of the folder is not asked for: root
// recording into a user's folder is the common case, and that user is not kept out
// of files that lie in it.
package durable
