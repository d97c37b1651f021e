package compare

import (
	"os"
	"syscall"
)

// mapped is a source that maps one part at a time: nothing is copied, and no
// more of the file counts as the process's memory than that part.
type mapped struct {
	f    *os.File
	data []byte  // what is mapped now
	or   *copies // set where mapping failed, as on some network file systems
}

func newSource(f *os.File) source { return &mapped{f: f} }

func (m *mapped) part(from, to int64) ([]byte, error) {
	if m.or != nil {
		return m.or.part(from, to)
	}
	m.close()
	begin := from &^ int64(os.Getpagesize()-1)
	data, err := syscall.Mmap(int(m.f.Fd()), begin, int(to-begin), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		m.or = &copies{r: m.f}
		return m.or.part(from, to)
	}
	m.data = data
	return data[from-begin:], nil
}

func (m *mapped) close() {
	if m.data != nil {
		_ = syscall.Munmap(m.data)
		m.data = nil
	}
}
