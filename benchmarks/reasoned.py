import json, subprocess, sys, tempfile
from pathlib import Path
from benchmarks.reasoned_servers import servers
def main():
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as there:
        done=subprocess.run([sys.executable,'-m','benchmarks.reasoned_day',sys.argv[1],sys.argv[2],there.gateway,there.tracking],stdout=subprocess.PIPE,text=True,timeout=int(sys.argv[3]))
        print(done.stdout)
if __name__=='__main__': main()
