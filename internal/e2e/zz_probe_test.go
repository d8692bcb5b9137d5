package e2e
import ("testing";"os";"strings";"fmt";"encoding/json";"reflect"
"github.com/nscope/nscope/inspect/netns/nettest"
"github.com/nscope/nscope/topo/ruleset/spell")
func TestZZProbe(t *testing.T){
 b,_:=os.ReadFile(os.Getenv("EXTRA"))
 for _,l:=range strings.Split(strings.TrimSpace(string(b)),"\n"){
  h:=nettest.New(t)
  nettest.Run(t,h,"nft","-f","testdata/nft/base.nft")
  if r:=addRules(t,h,[]string{l}); len(r)>0 {fmt.Println("REFUSED",r[0]);continue}
  nf:=readRules(t,h)
  want:=map[string]any{}
  for _,v:=range listed(t,h){ if k:=key(v);k!=""{want[k]=plain(t,v)}}
  for i:=range nf.Tables{
   for _,v:=range spell.NftTable(&nf.Tables[i],loNames){ got:=forget(plain(t,v)); k:=key(got); if strings.Contains(k," rule "){ w:=want[k]
     a,_:=json.Marshal(got.(map[string]any)["rule"].(map[string]any)["expr"]);bb,_:=json.Marshal(w.(map[string]any)["rule"].(map[string]any)["expr"])
     if !reflect.DeepEqual(got,w){fmt.Println("DIFF",l,"\n   ours",string(a),"\n   nft ",string(bb))} } }
   for _,c:=range nf.Tables[i].Chains{for _,r:=range c.Rules{ if r.Unknown!=nil{fmt.Println("UNKNOWN",l,r.Unknown)}; s:=spell.Nft(&nf.Tables[i],&r,loNames); fmt.Println("  ok:",l," => ",s)}}
  }
 }
}
