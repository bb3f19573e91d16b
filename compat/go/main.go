// Command compat drives franz-go through a broker: compat HOST:PORT.
//
// One printed line a step; the first wrong answer ends the program with exit code 1.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions  = 3
	unkeyed     = 30
	keyed       = 60
	keys        = 12
	total       = unkeyed + keyed
	commitAfter = 40
	timeout     = 60 * time.Second
)

func keyOf(i int) string      { return fmt.Sprintf("key-%d", i%keys) }
func keyedValue(i int) string { return fmt.Sprintf("键 %d", i) }

// journey is one run: its names on the broker, and where each partition ends by what was acknowledged.
type journey struct {
	bootstrap string
	topic     string
	admin     *kadm.Client
	ends      map[int32]int64
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compat HOST:PORT")
		os.Exit(2)
	}
	j := &journey{bootstrap: os.Args[1], topic: "compat-go-" + rand.Text()[:8], ends: map[int32]int64{}}
	j.admin = kadm.NewClient(must(j.client()))
	defer j.admin.Close()
	producer := must(j.client(kgo.ProducerLinger(5 * time.Millisecond)))
	defer producer.Close()

	step("create", j.create)
	step("produce", func(ctx context.Context) (string, error) { return j.produce(ctx, producer) })
	step("produce with keys", func(ctx context.Context) (string, error) { return j.produceWithKeys(ctx, producer) })
	step("consume", j.consume)
	step("group", j.group)
	step("commit and resume", j.commitAndResume)
	step("delete", j.delete)
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Println("FAIL:", err)
		os.Exit(1)
	}
	return value
}

func step(name string, run func(context.Context) (string, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	begun := time.Now()
	said, err := run(ctx)
	if err != nil {
		fmt.Printf("FAIL %s: %v\n", name, err)
		os.Exit(1)
	}
	fmt.Printf("ok   %s (%.2f s): %s\n", name, time.Since(begun).Seconds(), said)
}

func eventually(ctx context.Context, what string, condition func() bool) error {
	for !condition() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %s", timeout, what)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func (j *journey) client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(j.bootstrap)}, options...)...)
}

func (j *journey) listed(ctx context.Context) bool {
	topics, err := j.admin.ListTopics(ctx)
	return err == nil && topics.Has(j.topic)
}

func (j *journey) create(ctx context.Context) (string, error) {
	created, err := j.admin.CreateTopic(ctx, partitions, 1, nil, j.topic)
	if err != nil {
		return "", err
	}
	if created.NumPartitions != partitions || created.ReplicationFactor != 1 {
		return "", fmt.Errorf("answer: %+v", created)
	}
	if err := eventually(ctx, "the topic is listed", func() bool { return j.listed(ctx) }); err != nil {
		return "", err
	}
	topics, err := j.admin.ListTopics(ctx, j.topic)
	if err != nil {
		return "", err
	}
	detail := topics[j.topic]
	if len(detail.Partitions) != partitions || detail.ID != created.ID {
		return "", fmt.Errorf("description: %+v", detail)
	}
	return fmt.Sprintf("%d partitions, id %v", partitions, detail.ID), nil
}

// acknowledged checks that the records' offsets go on where each partition ended, without holes.
func (j *journey) acknowledged(results kgo.ProduceResults) error {
	if err := results.FirstErr(); err != nil {
		return err
	}
	offsets := map[int32][]int64{}
	for _, result := range results {
		offsets[result.Record.Partition] = append(offsets[result.Record.Partition], result.Record.Offset)
	}
	for partition, found := range offsets {
		slices.Sort(found)
		for _, offset := range found {
			if offset != j.ends[partition] {
				return fmt.Errorf("offset in %d: got %d, want %d", partition, offset, j.ends[partition])
			}
			j.ends[partition]++
		}
	}
	return nil
}

func (j *journey) produce(ctx context.Context, producer *kgo.Client) (string, error) {
	records := make([]*kgo.Record, unkeyed)
	for i := range records {
		records[i] = &kgo.Record{Topic: j.topic, Value: fmt.Appendf(nil, "plain %d", i)}
	}
	err := j.acknowledged(producer.ProduceSync(ctx, records...))
	return fmt.Sprintf("%d records, idempotent", unkeyed), err
}

func (j *journey) produceWithKeys(ctx context.Context, producer *kgo.Client) (string, error) {
	records := make([]*kgo.Record, keyed)
	for i := range records {
		records[i] = &kgo.Record{
			Topic: j.topic, Key: []byte(keyOf(i)), Value: []byte(keyedValue(i)),
			Headers: []kgo.RecordHeader{{Key: "source", Value: []byte("compat")}},
		}
	}
	if err := j.acknowledged(producer.ProduceSync(ctx, records...)); err != nil {
		return "", err
	}
	homes, used := map[string]int32{}, map[int32]bool{}
	for _, record := range records {
		home, known := homes[string(record.Key)]
		if known && home != record.Partition {
			return "", fmt.Errorf("%s on two partitions", record.Key)
		}
		homes[string(record.Key)], used[record.Partition] = record.Partition, true
	}
	if len(used) < 2 {
		return "", errors.New("all keys on one partition")
	}
	return fmt.Sprintf("%d records, %d keys on %d partitions", keyed, len(homes), len(used)), nil
}

func read(ctx context.Context, client *kgo.Client, atLeast, most int) ([]*kgo.Record, error) {
	var seen []*kgo.Record
	for len(seen) < atLeast {
		fetches := client.PollRecords(ctx, most)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		seen = append(seen, fetches.Records()...)
	}
	return seen, nil
}

// whole checks that seen is the topic: every value once under its key, partitions and keys in order.
func whole(seen []*kgo.Record) error {
	if len(seen) != total {
		return fmt.Errorf("records: got %d, want %d", len(seen), total)
	}
	want := map[string]string{}
	for i := range unkeyed {
		want[fmt.Sprintf("plain %d", i)] = ""
	}
	for i := range keyed {
		want[keyedValue(i)] = keyOf(i)
	}
	next, last := map[int32]int64{}, map[string]int{}
	for _, record := range seen {
		key, known := want[string(record.Value)]
		if !known || key != string(record.Key) {
			return fmt.Errorf("unexpected or repeated: %q under %q", record.Value, record.Key)
		}
		delete(want, string(record.Value))
		if record.Offset != next[record.Partition] {
			return fmt.Errorf("offset in %d: got %d, want %d", record.Partition, record.Offset, next[record.Partition])
		}
		next[record.Partition]++
		if record.Key == nil {
			continue
		}
		if len(record.Headers) != 1 || string(record.Headers[0].Value) != "compat" {
			return fmt.Errorf("headers: %v", record.Headers)
		}
		number, err := strconv.Atoi(strings.TrimPrefix(string(record.Value), "键 "))
		if before, seenKey := last[key]; err != nil || seenKey && number <= before {
			return fmt.Errorf("order under %s: %d after %d", key, number, before)
		}
		last[key] = number
	}
	return nil
}

func (j *journey) consume(ctx context.Context) (string, error) {
	ends, err := j.admin.ListEndOffsets(ctx, j.topic)
	if err != nil {
		return "", err
	}
	for partition, want := range j.ends {
		if got, _ := ends.Lookup(j.topic, partition); got.Offset != want {
			return "", fmt.Errorf("end of %d: got %d, want %d", partition, got.Offset, want)
		}
	}
	client, err := j.client(kgo.ConsumeTopics(j.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return "", err
	}
	defer client.Close()
	seen, err := read(ctx, client, total, total)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d records, order, keys, headers right", total), whole(seen)
}

// member is a group member that polls on a goroutine of its own and knows its assignment.
type member struct {
	client *kgo.Client
	mutex  sync.Mutex
	held   map[int32]bool
	done   chan struct{}
}

func (j *journey) member(group string) (*member, error) {
	m := &member{held: map[int32]bool{}, done: make(chan struct{})}
	change := func(holds bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, moved map[string][]int32) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, partition := range moved[j.topic] {
				if holds {
					m.held[partition] = true
				} else {
					delete(m.held, partition)
				}
			}
		}
	}
	client, err := j.client(
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(j.topic), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
	)
	if err != nil {
		return nil, err
	}
	m.client = client
	go func() {
		defer close(m.done)
		for !client.PollFetches(context.Background()).IsClientClosed() {
		}
	}()
	return m, nil
}

func (m *member) partitions() []int32 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	held := make([]int32, 0, partitions)
	for partition := range m.held {
		held = append(held, partition)
	}
	slices.Sort(held)
	return held
}

func (m *member) leave() {
	m.client.Close()
	<-m.done
}

func (j *journey) group(ctx context.Context) (string, error) {
	all := []int32{0, 1, 2}
	first, err := j.member(j.topic + "-group")
	if err != nil {
		return "", err
	}
	alone := func() bool { return slices.Equal(first.partitions(), all) }
	if err := eventually(ctx, "the first member has all partitions", alone); err != nil {
		return "", err
	}
	second, err := j.member(j.topic + "-group")
	if err != nil {
		return "", err
	}
	var ours, theirs []int32
	shared := func() bool {
		ours, theirs = first.partitions(), second.partitions()
		together := slices.Sorted(slices.Values(append(slices.Clone(ours), theirs...)))
		return len(ours) > 0 && len(theirs) > 0 && slices.Equal(together, all)
	}
	if err := eventually(ctx, "two members share the partitions", shared); err != nil {
		return "", err
	}
	second.leave()
	if err := eventually(ctx, "the first member has all partitions back", alone); err != nil {
		return "", err
	}
	first.leave()
	return fmt.Sprintf("alone 3, shared %d+%d, alone again 3", len(ours), len(theirs)), nil
}

func (j *journey) commitAndResume(ctx context.Context) (string, error) {
	group := j.topic + "-resume"
	reopen := func() (*kgo.Client, error) {
		return j.client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(j.topic), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	}
	client, err := reopen()
	if err != nil {
		return "", err
	}
	before, err := read(ctx, client, commitAfter, 10)
	if err == nil {
		err = client.CommitRecords(ctx, before...)
	}
	client.Close()
	if err != nil {
		return "", err
	}
	marks := map[int32]int64{}
	for _, record := range before {
		marks[record.Partition] = record.Offset + 1
	}
	stored, err := j.admin.FetchOffsets(ctx, group)
	if err != nil {
		return "", err
	}
	for partition, want := range marks {
		if got, _ := stored.Lookup(j.topic, partition); got.At != want {
			return "", fmt.Errorf("commit of %d: got %d, want %d", partition, got.At, want)
		}
	}
	client, err = reopen()
	if err != nil {
		return "", err
	}
	defer client.Close()
	after, err := read(ctx, client, total-len(before), total)
	if err != nil {
		return "", err
	}
	// Order within a partition, without a hole or a repeat, is what resuming at the commit means.
	said := fmt.Sprintf("%d before, %d after the commit", len(before), len(after))
	return said, whole(append(before, after...))
}

func (j *journey) delete(ctx context.Context) (string, error) {
	deleted, err := j.admin.DeleteTopics(ctx, j.topic)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		return "", err
	}
	if err := eventually(ctx, "the topic is gone", func() bool { return !j.listed(ctx) }); err != nil {
		return "", err
	}
	groups, err := j.admin.DeleteGroups(ctx, j.topic+"-group", j.topic+"-resume")
	if err == nil {
		err = groups.Error()
	}
	return "topic and groups gone", err
}
