package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// mountNames puts files of its own in the place of those from which programs
// learn names, in the mount namespace of the calling thread. The files are in
// memory and nobody else sees them.
func mountNames(spec fabric.HostSpec) error {
	// Else what is mounted here would appear in the machine's namespace too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("its mount namespace: %w", err)
	}
	// A directory that every machine has, hidden for a moment from this thread only.
	const shelf = "/tmp"
	if err := unix.Mount("hoplab", shelf, "tmpfs", 0, "size=256k,mode=755"); err != nil {
		return fmt.Errorf("its hosts file: %w", err)
	}
	defer unix.Unmount(shelf, unix.MNT_DETACH) // the mounts below keep their files
	for name, content := range map[string]string{
		"hosts":         fabric.HostsFile(spec),
		"resolv.conf":   fmt.Sprintf("nameserver %s\noptions ndots:1\n", resolverAddr),
		"nsswitch.conf": switchFile(),
	} {
		target := "/etc/" + name
		if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) && name != "hosts" {
			continue // the C library's default is what the file would say
		}
		if err := os.WriteFile(shelf+"/"+name, []byte(content), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(shelf+"/"+name, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("its %s: %w", target, err)
		}
	}
	return nil
}

// switchFile is the machine's nsswitch.conf with names looked up in files and
// DNS only: other services would answer for the machine, not for the host.
func switchFile() string {
	data, _ := os.ReadFile("/etc/nsswitch.conf")
	var b strings.Builder
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(line, []byte("hosts:")) {
			b.Write(line)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\nhosts: files dns\n"
}

// resolverAddr is where a VPC's resolver answers, in every subnet.
// https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
var resolverAddr = netip.MustParseAddr("169.254.169.253")

// resolver is the VPC's DNS: it knows what it was told, and nothing else
// exists. Names of Service Connect are not its business.
type resolver struct {
	conn  net.PacketConn
	names atomic.Pointer[map[string]netip.Addr]
	done  chan struct{}
}

// newResolver starts the resolver in the router's namespace.
func newResolver(r *router) (*resolver, error) {
	s := &resolver{done: make(chan struct{})}
	s.set(nil)
	err := r.do(func() error {
		lo, err := r.links.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := r.links.AddrAdd(lo, &netlink.Addr{IPNet: single(resolverAddr)}); err != nil {
			return err
		}
		s.conn, err = net.ListenPacket("udp4", netip.AddrPortFrom(resolverAddr, 53).String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("fabric netns: the resolver: %w", err)
	}
	go s.serve()
	return s, nil
}

func (s *resolver) set(names map[string]netip.Addr) {
	names = maps.Clone(names)
	s.names.Store(&names)
}

func (s *resolver) close() {
	s.conn.Close()
	<-s.done
}

func (s *resolver) serve() {
	defer close(s.done)
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if reply, err := s.answer(buf[:n]); err == nil {
			s.conn.WriteTo(reply, from) // a reply that is lost is asked for again
		}
	}
}

// answer returns the reply to one query: the address, or that there is no such name.
func (s *resolver) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	ip, ok := (*s.names.Load())[name]
	reply := dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	if !ok {
		reply.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, reply)
	if err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers()); err != nil {
		return nil, err
	}
	if ok && q.Type == dnsmessage.TypeA {
		if err := b.AResource(dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}, dnsmessage.AResource{A: ip.As4()}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
