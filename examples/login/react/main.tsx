import { createRoot } from "react-dom/client";
import { useLogin } from "@peerstream/login/react";

const OPTIONS = { statement: "Sign in to the example." };

function Page() {
  const { user, wallets, busy, error, signIn, signOut } = useLogin(OPTIONS);
  if (user === undefined) return <p role="status">Looking…</p>;
  return (
    <main>
      <p id="status" role="status">
        {user ? `Signed in as ${user.walletAddress}` : "Not signed in"}
      </p>
      {user ? (
        <button id="out" disabled={busy} onClick={() => void signOut()}>
          Sign out
        </button>
      ) : (
        wallets.map((wallet) => (
          <button
            key={wallet.info.uuid}
            data-wallet={wallet.info.rdns}
            disabled={busy}
            onClick={() => void signIn(wallet)}
          >
            Sign in with {wallet.info.name}
          </button>
        ))
      )}
      <p id="error" role="alert">
        {error && `${error.code}: ${error.message}`}
      </p>
    </main>
  );
}

createRoot(document.getElementById("root")!).render(<Page />);
