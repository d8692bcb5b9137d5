package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

type ruleFlags struct {
	as         string
	used       bool
	all, watch bool
	save       bool
	every      time.Duration
}

func newRules(a *app) *cobra.Command {
	f := &ruleFlags{}
	c := &cobra.Command{
		Use:   "rules [TARGET]",
		Short: "List firewall rules in the order in which they are evaluated",
		Long: `List every firewall and NAT rule that can touch a packet of TARGET, in the
order in which the kernel evaluates them: hook, priority, family, table, chain;
chains that are jumped to stand indented below the first jump. Of a container
these are all rules of its own namespace, and of the namespaces that its links
lead to those that may match its addresses or published ports; of a namespace
all; of an interface what comes in or goes out by it may come to; of a network
(net:NAME) those of its bridge, its members and its load balancers; of a service
(service:NAME) those that its virtual IPs and published ports may come to.
Without TARGET: the host's. What else packets pass stands with them: BPF
programs (XDP, tcx, cgroups'), filters, queues and classes of traffic control.

Before each rule stands how many packets it has counted: "." where it does not
count. "?" marks a rule that is not understood whole.

With --save, the namespace's whole tables with chains, sets and counters, as
iptables-restore and "nft -f" take them.`,
		Example: `  nscope rules
  nscope rules web --used
  nscope rules web --watch
  nscope rules host --as nft
  nscope rules --save --as nft >rules.nft
  nscope rules --all -o json`,
		Args: atMostOneArg("TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case !slices.Contains([]string{"", "iptables", "nft"}, f.as):
				return usagef("no spelling %q: --as has iptables, nft", f.as)
			case f.all && len(args) > 0:
				return usagef("--all and TARGET exclude each other")
			case f.watch && len(a.from) > 0:
				return usagef("--watch needs the live host: counters of a snapshot do not move")
			case f.save && (f.all || f.watch || f.used):
				return usagef("--save writes all of one namespace's rules: not with --all, --watch or --used")
			case f.watch && f.every <= 0:
				return usagef("--every needs a time above 0")
			}
			if f.watch {
				return a.watchRules(c.Context(), args, f)
			}
			if f.save {
				return a.saveRules(c.Context(), args, f)
			}
			spaces, err := a.rules(c.Context(), args, f)
			if err != nil {
				return err
			}
			if ok, err := a.print(spaces); ok {
				return err
			}
			if len(spaces) == 0 {
				fmt.Fprintln(a.err, "nscope: no rule there can touch such a packet")
			}
			o := a.renderOptions()
			o.Wide = a.output == "wide"
			return render.Rules(a.out, spaces, o)
		},
		ValidArgsFunction: a.completeTarget,
	}
	a.outputFlag(c, "table", "wide", "json", "yaml")
	c.Flags().StringVar(&f.as, "as", "", "spell rules as `TOOL` does: iptables, nft; default: as each was written")
	c.Flags().BoolVar(&f.used, "used", false, "leave out rules that have counted no packet")
	c.Flags().BoolVar(&f.all, "all", false, "the rules of every namespace")
	c.Flags().BoolVar(&f.save, "save", false, "write whole tables, as iptables-restore and nft -f take them")
	c.Flags().BoolVar(&f.watch, "watch", false, "go on and show rules whose counters move")
	c.Flags().DurationVar(&f.every, "every", time.Second, "with --watch, read again after this `TIME`")
	_ = c.RegisterFlagCompletionFunc("as", cobra.FixedCompletions([]string{"iptables", "nft"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// saveRules writes the tables of one namespace as text that makes them again.
func (a *app) saveRules(ctx context.Context, args []string, f *ruleFlags) error {
	target := cmpTarget(args)
	g, err := a.graph(ctx, target, inspect.WithDepth(inspect.Topology))
	if err != nil {
		return err
	}
	n, err := g.Resolve(target)
	if err != nil {
		return err
	}
	if _, ok := g.Netns(n); !ok {
		return usagef("%s is a %s: rules has those of a container, namespace or interface", n.Name, n.Kind)
	}
	if g.RulesUnread(n) {
		return fmt.Errorf("not all firewall rules of %s were read: nothing is saved", n.Name)
	}
	tables := g.SaveRules(n, f.as)
	if ok, err := a.print(tables); ok {
		return err
	}
	for _, t := range tables {
		if !t.Whole {
			fmt.Fprintf(a.err, "nscope: note: table %s %s: %s has no words for what stands there as a comment\n", t.Family, t.Table, t.For)
		}
	}
	return render.SavedRules(a.out, tables)
}

func (a *app) rules(ctx context.Context, args []string, f *ruleFlags) ([]topo.RuleSpace, error) {
	target := cmpTarget(args)
	g, err := a.graph(ctx, target, inspect.WithDepth(inspect.Topology), inspect.WithTraffic())
	if err != nil {
		return nil, err
	}
	o := topo.RuleOptions{As: f.as, Used: f.used}
	if !f.all {
		n, err := g.Resolve(target)
		if err != nil {
			return nil, err
		}
		if n.Kind == topo.KindVTEP {
			return nil, usagef("%s is the end of a tunnel on a host that was not inspected: it has no rules here", n.Name)
		}
		return g.Rules(n, o), nil
	}
	out := []topo.RuleSpace{}
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == topo.KindNetns {
			out = append(out, g.Rules(n, o)...)
		}
	}
	return out, nil
}

// watchRules reads again and again and shows, of the rules whose counters moved, by how much. No event tells of counters.
func (a *app) watchRules(ctx context.Context, args []string, f *ruleFlags) error {
	var before map[string]uint64
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		spaces, err := a.rules(ctx, args, f)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		now := map[string]uint64{}
		for i := range spaces {
			s := &spaces[i]
			for j := range s.Chains {
				c := &s.Chains[j]
				c.Rules = slices.DeleteFunc(c.Rules, func(r topo.RuleOf) bool {
					key := strings.Join([]string{s.Netns, c.Family, c.Hook, c.Backend, c.TableFamily, c.Table, r.Chain, fmt.Sprint(r.Handle, r.Number, r.Text)}, "\x00")
					return !moved(before, now, key, r.Packets)
				})
			}
			s.Chains = slices.DeleteFunc(s.Chains, func(c topo.RuleChain) bool { return len(c.Rules) == 0 })
			for _, list := range []*[]topo.RuleStage{&s.Ingress, &s.Egress, &s.Sockets} {
				*list = slices.DeleteFunc(*list, func(r topo.RuleStage) bool {
					return !moved(before, now, strings.Join([]string{s.Netns, r.At, r.Link, r.Cgroup, r.Text}, "\x00"), r.Packets)
				})
			}
		}
		first := before == nil
		before = now
		if spaces = slices.DeleteFunc(spaces, func(s topo.RuleSpace) bool { return len(s.Chains)+len(s.Ingress)+len(s.Egress)+len(s.Sockets) == 0 }); !first && len(spaces) > 0 {
			if ok, err := a.print(spaces); err != nil {
				return err
			} else if !ok {
				fmt.Fprintf(a.out, "%s\n", time.Now().Format(time.TimeOnly))
				o := a.renderOptions()
				o.Wide = a.output == "wide"
				if err := render.Rules(a.out, spaces, o); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// moved notes a counter in now and tells whether it has grown since before, by how much it is then made to say.
func moved(before, now map[string]uint64, key string, packets *uint64) bool {
	if packets == nil {
		return false
	}
	was, known := before[key]
	now[key] = *packets
	if !known || *packets <= was {
		return false
	}
	*packets -= was
	return true
}
